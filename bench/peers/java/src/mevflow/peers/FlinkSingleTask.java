package mevflow.peers;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichFlatMapFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.util.Collector;

/** Flink as one task: nothing is keyed, so nothing is serialized; its maps are in no checkpoint. */
final class FlinkSingleTask extends FlinkJob {
    FlinkSingleTask() {
        super(1);
    }

    @Override
    DataStream<Row> gaps(DataStream<Priced> prices) {
        return prices.flatMap(new InOneTask());
    }

    private static final class InOneTask extends RichFlatMapFunction<Priced, Row> {
        private transient Gaps gaps;

        @Override
        public void open(OpenContext context) {
            gaps = new Gaps();
        }

        @Override
        public void flatMap(Priced priced, Collector<Row> out) {
            gaps.handle(priced, out::collect);
        }
    }
}
