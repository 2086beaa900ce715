//! Ctrl-C: the first saves the run, the second stops at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::progress;

/// When the user asked to stop.
static ASKED: OnceLock<Instant> = OnceLock::new();
/// Whether there is anything to save when that happens.
static TRAINING: AtomicBool = AtomicBool::new(false);

/// Signals within this time are one request: `timeout` sends one to the tool and one to its process group.
const ONE_REQUEST: Duration = Duration::from_millis(200);

/// To be called once, before anything takes long.
pub fn watch() -> Result<(), Failure> {
    let handler = || {
        // Looked at before it is asked to stop: training ends soon after, and then must not be cut off while it says so.
        let training = TRAINING.load(Ordering::SeqCst);
        match ASKED.get() {
            Some(asked) if asked.elapsed() < ONE_REQUEST => {}
            None if training => {
                ASKED.get_or_init(Instant::now);
                progress::note(format_args!(
                    "stopping: the run is being saved (once more to stop at once, without)"
                ));
            }
            _ => std::process::exit(130),
        }
    };
    ctrlc::set_handler(handler).map_err(|e| Failure::File(format!("Ctrl-C cannot be watched: {e}")))
}

/// Says whether there is a run to save from now on.
pub fn training(on: bool) {
    TRAINING.store(on, Ordering::SeqCst);
}

/// Whether the user has asked to stop.
pub fn interrupted() -> bool {
    ASKED.get().is_some()
}
