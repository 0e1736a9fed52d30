package mevflow.peers;

/** Two pools of one pair that are further apart than their fees. */
public final class Row {
    public long slot;
    public String pool;
    public String other;
    public double gap;

    public Row() {}

    Row(Priced priced, String other, double gap) {
        this.slot = priced.slot;
        this.pool = priced.pool;
        this.other = other;
        this.gap = gap;
    }
}
