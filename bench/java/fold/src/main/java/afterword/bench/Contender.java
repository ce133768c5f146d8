package afterword.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import java.io.IOException;
import java.util.Map;

/** An engine that folds the whole input, and how it is run as a process of its own. */
@FunctionalInterface
public interface Contender {
    /** Fold all events, each of them said to the meter; gives what was counted, by the names of bench/totals.py. */
    Map<String, Long> contend(Task task, Meter meter) throws Exception;

    /** Be the process of a contender: its task in the one argument, what it measured on standard output. */
    static void run(String[] arguments, Contender contender) {
        endWithStarter();
        ObjectMapper json = new ObjectMapper().setPropertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE);
        int code = 1;
        try {
            Task task = json.readValue(arguments[0], Task.class);
            Meter meter = new Meter(task.events());
            Map<String, Long> counted = contender.contend(task, meter);
            System.out.println(json.writeValueAsString(meter.measured(counted)));
            code = 0;
        } catch (Exception failure) {
            failure.printStackTrace();
        }
        System.exit(code); // whatever threads the engine left
    }

    /** End when standard input does: who started this is gone, even if it was killed. */
    private static void endWithStarter() {
        Thread watching = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (IOException closed) {
                System.err.println(closed);
            }
            Runtime.getRuntime().halt(1);
        });
        watching.setDaemon(true);
        watching.start();
    }
}
