package mevflow.peers;

import java.time.Duration;
import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** Flink as its guide has it: keyed by pair, state in its hash-map backend, a checkpoint every 5 s, two tasks. */
final class FlinkKeyed extends FlinkJob {
    FlinkKeyed() {
        super(2);
    }

    @Override
    void configure(Configuration settings) {
        settings.set(StateBackendOptions.STATE_BACKEND, "hashmap");
        settings.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofSeconds(5));
    }

    @Override
    DataStream<Row> gaps(DataStream<Priced> prices) {
        return prices.keyBy(priced -> priced.pair).process(new ByPair());
    }

    private static final class ByPair extends KeyedProcessFunction<String, Priced, Row> {
        private transient MapState<String, Quote> pools;

        @Override
        public void open(OpenContext context) {
            pools = getRuntimeContext().getMapState(new MapStateDescriptor<>("pools", String.class, Quote.class));
        }

        @Override
        public void processElement(Priced priced, Context context, Collector<Row> out) throws Exception {
            if (Double.isNaN(priced.price)) {
                return;
            }
            Quote quote = new Quote(priced);
            pools.put(priced.pool, quote);
            for (Map.Entry<String, Quote> other : pools.entries()) {
                double gap = quote.gap(other.getValue());
                if (gap > 0) {
                    out.collect(new Row(priced, other.getKey(), gap));
                }
            }
        }
    }
}
