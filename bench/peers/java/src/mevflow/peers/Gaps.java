package mevflow.peers;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;

/** The job on plain maps: each pool's quote by pair, and the gaps that an event leaves. For one thread. */
final class Gaps {
    private final Map<String, Map<String, Quote>> pairs = new HashMap<>();

    /** Take the pool's new price; give a row for each pool of its pair that is now too far away. */
    void handle(Priced priced, Consumer<Row> found) {
        if (Double.isNaN(priced.price)) {
            return;
        }
        Quote quote = new Quote(priced);
        Map<String, Quote> pools = pairs.computeIfAbsent(priced.pair, pair -> new HashMap<>());
        pools.put(priced.pool, quote);
        for (Map.Entry<String, Quote> other : pools.entrySet()) {
            double gap = quote.gap(other.getValue());
            if (gap > 0) {
                found.accept(new Row(priced, other.getKey(), gap));
            }
        }
    }
}
