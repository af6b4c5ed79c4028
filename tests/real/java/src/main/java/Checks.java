import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.Callable;

/** One line a check: `ok NAME`, or `FAILED NAME: reason`; {@link #finish} ends the program, with 1 when a check failed. */
final class Checks {
    private static int failures;

    interface Body {
        void run() throws Exception;
    }

    static void check(String name, Body body) {
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Throwable error) {
            failures++;
            System.out.println("FAILED " + name + ": " + error);
            error.printStackTrace();
        }
    }

    static void equal(Object got, Object want) {
        if (!Objects.equals(got, want)) throw new AssertionError(brief(got) + " instead of " + brief(want));
    }

    private static String brief(Object value) {
        String text = String.valueOf(value);
        return text.length() > 300 ? text.substring(0, 300) + "..." : text;
    }

    static void isTrue(boolean condition, String text) {
        if (!condition) throw new AssertionError(text);
    }

    /** The call must fail with this kind of error, itself or as the cause. */
    static void refused(Class<?> kind, Callable<?> call) {
        Object result;
        try {
            result = call.call();
        } catch (Exception error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                if (kind.isInstance(cause)) return;
            }
            throw new AssertionError(error + " instead of " + kind.getSimpleName(), error);
        }
        throw new AssertionError(brief(result) + " instead of " + kind.getSimpleName());
    }

    /** Waits for what becomes true by itself. */
    static void until(Duration limit, Callable<Boolean> condition) throws Exception {
        long end = System.nanoTime() + limit.toNanos();
        while (!condition.call()) {
            isTrue(System.nanoTime() < end, "not within " + limit);
            Thread.sleep(20);
        }
    }

    static void finish() {
        System.out.flush();
        System.exit(failures == 0 ? 0 : 1);
    }
}
