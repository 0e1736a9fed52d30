package mevflow.peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/** Rows on their way into ClickHouse, inserted 10,000 at a time. For one thread. */
final class Table {
    private static final int FLUSH_ROWS = 10_000;
    private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    private final URI insert;
    private final StringBuilder waiting = new StringBuilder();
    private int rows;

    /** The table {@code peer_rows} of the engine that listens on {@code port} of this machine. */
    Table(int port) {
        String statement = "INSERT INTO peer_rows (slot, pool, other, gap) FORMAT TabSeparated";
        String query = URLEncoder.encode(statement, StandardCharsets.UTF_8);
        insert = URI.create("http://127.0.0.1:" + port + "/?query=" + query);
    }

    void add(Row row) {
        waiting.append(row.slot).append('\t').append(hex(row.pool)).append('\t').append(hex(row.other));
        waiting.append('\t').append(row.gap).append('\n');
        if (++rows == FLUSH_ROWS) {
            flush();
        }
    }

    /** Insert what waits. */
    void flush() {
        if (rows == 0) {
            return;
        }
        HttpRequest request =
                HttpRequest.newBuilder(insert).POST(HttpRequest.BodyPublishers.ofString(waiting.toString())).build();
        try {
            HttpResponse<String> answer = CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
            if (answer.statusCode() != 200) {
                throw new IOException(answer.body());
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
        Pass.wrote(rows);
        waiting.setLength(0);
        rows = 0;
    }

    private static String hex(String bytes) {
        return HexFormat.of().formatHex(bytes.getBytes(StandardCharsets.ISO_8859_1));
    }
}
