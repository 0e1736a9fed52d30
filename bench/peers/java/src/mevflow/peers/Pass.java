package mevflow.peers;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;

/** The clock of one reading of the topic. Static: an engine serializes what it is given, and runs the copies. */
final class Pass {
    private static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private static final AtomicLong ROWS = new AtomicLong();
    private static volatile boolean running;
    private static long beganNs;
    private static long beganCpuNs;
    private static long endedNs;
    private static long endedCpuNs;

    private Pass() {}

    /** Forget the pass before. */
    static synchronized void reset() {
        running = false;
        ROWS.set(0);
    }

    /** A message is here: the first starts the clock. */
    static void message() {
        if (!running) {
            start();
        }
    }

    private static synchronized void start() {
        if (!running) {
            beganNs = System.nanoTime();
            beganCpuNs = SYSTEM.getProcessCpuTime();
            running = true;
        }
    }

    /** Everything that a worker was given is done. The last word counts. */
    static synchronized void done() {
        endedNs = System.nanoTime();
        endedCpuNs = SYSTEM.getProcessCpuTime();
    }

    static void wrote(int rows) {
        ROWS.addAndGet(rows);
    }

    /** What this pass came to, as a line of JSON; seconds are from the first message to the last worker's end. */
    static synchronized String told(String name, long messages) {
        return String.format(
                Locale.ROOT,
                "{\"pass\": \"%s\", \"messages\": %d, \"rows\": %d, \"seconds\": %.6f, \"cpu_s\": %.6f}",
                name, messages, ROWS.get(), (endedNs - beganNs) / 1e9, (endedCpuNs - beganCpuNs) / 1e9);
    }
}
