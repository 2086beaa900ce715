//! The threads on which steps are computed, awake for as long as a step runs.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::gemm::MOST_PARTS;

/// The threads on which steps are computed. Not those of everybody, because of what [`awake`] does there: a thread that it keeps
/// from sleep would take up a caller's other work, and with that hold a step up.
fn pool() -> Option<&'static ThreadPool> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let build = || {
        ThreadPoolBuilder::new()
            .thread_name(|i| format!("wgrad-{i}"))
            .build()
            .ok()
    };
    POOL.get_or_init(build).as_ref()
}

/// On how many threads steps are computed.
pub(crate) fn threads() -> usize {
    pool().map_or(1, ThreadPool::current_num_threads)
}

/// Runs `f` on a thread of the pool, with so many others kept from sleep that the parts of a product find one at once: to wake one
/// takes about 50 µs, which is 3 % of a product of 256×1024×1024 on two threads. They sleep again when `f` is done.
///
/// None waits for itself: threads steal the oldest job first, so that one which waits for a stolen part has no `wait` of its own
/// left to take up.
pub(crate) fn awake<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    fn with<R: Send>(others: usize, done: &AtomicBool, f: impl FnOnce() -> R + Send) -> R {
        if others == 0 {
            // Also when a user's function panics.
            let _done = Done(done);
            return f();
        }
        let wait = || {
            while !done.load(Ordering::Relaxed) {
                // Takes up work where there is any.
                if rayon::yield_now() != Some(rayon::Yield::Executed) {
                    std::hint::spin_loop();
                }
            }
        };
        rayon::join(|| with(others - 1, done, f), wait).0
    }
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let Some(pool) = pool() else { return f() };
    let others = pool.current_num_threads().min(MOST_PARTS) - 1;
    let done = AtomicBool::new(false);
    pool.install(|| with(others, &done, f))
}
