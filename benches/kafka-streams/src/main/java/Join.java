import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;

/**
 * {@code benches/kafka_join.sql} as KSQL would compile it to Kafka Streams: events are parsed to trees, split into creates and connections, both re-keyed by process through topics of their own, the creates kept
 * as a table, and each connection looked up in it when it comes.
 *
 * <pre>Join BOOTSTRAP INPUT OUTPUT STATE-DIR at_least_once|exactly_once_v2 [KEY=VALUE]…</pre>
 *
 * In KSQL these are three queries, each of which reads and parses the input; here the input is parsed once. The settings are those of KSQL (commit interval, cache), else the defaults. Says {@code running} on stdout
 * once it runs; SIGTERM ends it.
 */
public final class Join {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String NOBODY = "{00000000-0000-0000-0000-000000000000}";

    public static void main(String[] arguments) throws InterruptedException {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "join");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[3]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[4]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        // as in ksqlDB's KsqlConfig; with exactly_once_v2 the interval is that of Kafka Streams, which is shorter
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 10_000_000);
        if (arguments[4].equals(StreamsConfig.AT_LEAST_ONCE)) {
            settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 2000);
        }
        for (int i = 5; i < arguments.length; i++) {
            String[] setting = arguments[i].split("=", 2);
            settings.put(setting[0], setting[1]);
        }

        StreamsBuilder builder = new StreamsBuilder();
        join(builder, arguments[1], arguments[2]);
        CountDownLatch ended = new CountDownLatch(1);
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.RUNNING) {
                System.out.println("running");
            }
        });
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close();
            ended.countDown();
        }));
        streams.start();
        ended.await();
    }

    private static void join(StreamsBuilder builder, String input, String output) {
        Serde<String> key = Serdes.String();
        Serde<JsonNode> value = Serdes.serdeFrom(new JsonWriter(), new JsonReader());
        KStream<String, JsonNode> events = builder.stream(input, Consumed.with(key, value))
            .filter((host, event) -> event != null
                && event.path("winlog").path("channel").asText().equals("Microsoft-Windows-Sysmon/Operational")
                && !event.at("/winlog/event_data/ProcessGuid").asText(NOBODY).equals(NOBODY));

        KTable<String, JsonNode> creates = events
            .filter((host, event) -> event.path("winlog").path("event_id").asInt() == 1)
            .map((host, event) -> {
                JsonNode data = event.path("winlog").path("event_data");
                ObjectNode create = JSON.createObjectNode();
                copy(data, "CommandLine", create, "COMMAND_LINE");
                copy(data, "ParentImage", create, "PARENT_IMAGE");
                return KeyValue.pair(process(data), (JsonNode) create);
            })
            .repartition(Repartitioned.with(key, value).withName("creates"))
            .toTable(Materialized.with(key, value));

        events
            .filter((host, event) -> event.path("winlog").path("event_id").asInt() == 3)
            .map((host, event) -> {
                JsonNode data = event.path("winlog").path("event_data");
                ObjectNode connection = JSON.createObjectNode();
                copy(data, "UtcTime", connection, "UTC_TIME");
                connection.put("PROCESS_GUID", process(data));
                copy(data, "Image", connection, "IMAGE");
                copy(data, "DestinationIp", connection, "DESTINATION_IP");
                connection.put("DESTINATION_PORT", data.path("DestinationPort").asInt());
                copy(data, "SourceIp", connection, "SOURCE_IP");
                connection.put("SOURCE_PORT", data.path("SourcePort").asInt());
                return KeyValue.pair(process(data), (JsonNode) connection);
            })
            .repartition(Repartitioned.with(key, value).withName("connections"))
            .join(creates, Join::both, Joined.with(key, value, value))
            .to(output, Produced.with(key, value));
    }

    private static JsonNode both(JsonNode connection, JsonNode create) {
        ObjectNode both = connection.deepCopy();
        return both.setAll((ObjectNode) create);
    }

    private static String process(JsonNode data) {
        return data.path("ProcessGuid").asText().toUpperCase(Locale.ROOT);
    }

    private static void copy(JsonNode from, String name, ObjectNode to, String as) {
        JsonNode value = from.get(name);
        to.set(as, value == null ? JSON.nullNode() : value);
    }

    private static final class JsonWriter implements Serializer<JsonNode> {
        @Override
        public byte[] serialize(String topic, JsonNode value) {
            try {
                return value == null ? null : JSON.writeValueAsBytes(value);
            } catch (JsonProcessingException error) {
                throw new UncheckedIOException(error);
            }
        }
    }

    private static final class JsonReader implements Deserializer<JsonNode> {
        @Override
        public JsonNode deserialize(String topic, byte[] value) {
            try {
                return value == null ? null : JSON.readTree(value);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }
}
