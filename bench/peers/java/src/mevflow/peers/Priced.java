package mevflow.peers;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import java.nio.charset.StandardCharsets;
import mevflow.v1.Market.Swap;

/** What a swap says about its pool. Fields are public and not final, or Flink does not serialize it by field. */
public final class Priced {
    private static final double TWO_64 = 0x1p64;

    /** The mints, A before B, a character a byte. */
    public String pair;
    /** The pool's key, a character a byte. */
    public String pool;
    public long slot;
    /** The log of raw B per raw A; NaN where the swap has no square root of a price. */
    public double price;
    /** What the fee takes, as a log. */
    public double fee;

    /** Decode a {@code Swap}. */
    public static Priced of(byte[] value) {
        Swap swap;
        try {
            swap = Swap.parseFrom(value);
        } catch (InvalidProtocolBufferException error) {
            throw new IllegalArgumentException(error);
        }
        ByteString in = swap.getMintIn();
        ByteString out = swap.getMintOut();
        Priced priced = new Priced();
        priced.pair = text(swap.getAToB() ? in.concat(out) : out.concat(in));
        priced.pool = text(swap.getPool());
        priced.slot = swap.getSlot();
        priced.price = logPrice(swap.getSqrtPriceX64());
        priced.fee = -Math.log1p(-swap.getFeePips() / 1e6);
        return priced;
    }

    private static String text(ByteString bytes) {
        return bytes.toString(StandardCharsets.ISO_8859_1);
    }

    /** From the square root as Q64.64, little-endian. */
    private static double logPrice(ByteString root) {
        double value = 0;
        for (int at = root.size() - 1; at >= 0; at--) {
            value = 256 * value + (root.byteAt(at) & 0xFF);
        }
        return value == 0 ? Double.NaN : 2 * Math.log(value / TWO_64);
    }
}
