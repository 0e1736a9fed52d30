package mevflow.peers;

/** A pool's price and fee, as logs. */
public final class Quote {
    public double price;
    public double fee;

    public Quote() {}

    Quote(Priced priced) {
        price = priced.price;
        fee = priced.fee;
    }

    /** What buying at one and selling at the other leaves above both fees, as a log; positive where it pays. */
    double gap(Quote other) {
        return Math.abs(price - other.price) - fee - other.fee;
    }
}
