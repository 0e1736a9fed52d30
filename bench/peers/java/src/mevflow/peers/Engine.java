package mevflow.peers;

/** One way to do the job. */
interface Engine {
    /** Read the topic from its beginning, and return once every message is handled and every row inserted. */
    void run(Job job) throws Exception;
}
