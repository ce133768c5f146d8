package afterword.bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** Counts the events that are folded, and measures from the first one taken, over half of them, to the last one. */
public final class Meter {
    private static final OperatingSystemMXBean PROCESS =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
    private static final double NANOSECONDS = 1e9;

    private final long wanted;
    private final AtomicLong folded = new AtomicLong();
    private final CountDownLatch done = new CountDownLatch(1);
    private final Map<String, Double> notes = new HashMap<>();
    private volatile Mark began;
    private volatile Mark halfway;
    private Mark ended;
    private double peakRssMib;

    public Meter(long wanted) {
        this.wanted = wanted;
    }

    /** The first event is there; later calls do nothing. */
    public void begin() {
        if (began == null) {
            beginOnce();
        }
    }

    /** One more event is folded. */
    public void add() {
        begin();
        long count = folded.incrementAndGet();
        if (count == (wanted + 1) / 2) {
            halfway = Mark.now();
        }
        if (count == wanted) {
            ended = Mark.now();
            peakRssMib = peakRssMib();
            note("gc_seconds", gcSeconds());
            note("jit_seconds", ManagementFactory.getCompilationMXBean().getTotalCompilationTime() / 1e3);
            done.countDown();
        }
    }

    /** Keep what explains the figures. */
    public synchronized void note(String name, double value) {
        notes.put(name, value);
    }

    /** Wait until all events are folded, saying now and then how many they are. */
    public void awaitAll() throws InterruptedException {
        while (!done.await(10, TimeUnit.SECONDS)) {
            System.err.printf("    %,d of %,d events%n", folded.get(), wanted);
        }
    }

    /** What was measured, once all events are folded, with what was counted in them. */
    synchronized Measured measured(Map<String, Long> counted) {
        if (ended == null) {
            throw new IllegalStateException("only %,d of %,d events were folded".formatted(folded.get(), wanted));
        }
        long mostOfOneThread = 0;
        for (Map.Entry<Long, Long> thread : ended.threads.entrySet()) {
            long before = began.threads.getOrDefault(thread.getKey(), 0L);
            mostOfOneThread = Math.max(mostOfOneThread, thread.getValue() - before);
        }
        return new Measured(
                (ended.time - began.time) / NANOSECONDS,
                (ended.time - halfway.time) / NANOSECONDS,
                ended.cpu / NANOSECONDS,
                (ended.cpu - began.cpu) / NANOSECONDS,
                (ended.cpu - halfway.cpu) / NANOSECONDS,
                mostOfOneThread / NANOSECONDS,
                peakRssMib,
                counted,
                notes);
    }

    private synchronized void beginOnce() {
        if (began == null) {
            began = Mark.now();
        }
    }

    /** The most memory that the process had so far; 0 where the system does not say it in a file. */
    private static double peakRssMib() {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
                if (line.startsWith("VmHWM:")) {
                    return Long.parseLong(line.replaceAll("\\D", "")) / 1024.0;
                }
            }
        } catch (IOException absent) {
            return 0;
        }
        return 0;
    }

    private static double gcSeconds() {
        long milliseconds = 0;
        for (GarbageCollectorMXBean collector : ManagementFactory.getGarbageCollectorMXBeans()) {
            milliseconds += collector.getCollectionTime();
        }
        return milliseconds / 1e3;
    }

    /** What bench/jvm.py makes a measurement of; seconds. */
    record Measured(
            double seconds,
            double secondsSecondHalf,
            double cpuWhole,
            double cpuAfterStart,
            double cpuSecondHalf,
            double cpuBusiestThread,
            double peakRssMib,
            Map<String, Long> counted,
            Map<String, Double> notes) {}

    /** The clocks at one moment; nanoseconds. */
    private record Mark(long time, long cpu, Map<Long, Long> threads) {
        static Mark now() {
            Map<Long, Long> threads = new HashMap<>();
            for (long thread : THREADS.getAllThreadIds()) {
                threads.put(thread, THREADS.getThreadCpuTime(thread));
            }
            return new Mark(System.nanoTime(), PROCESS.getProcessCpuTime(), threads);
        }
    }
}
