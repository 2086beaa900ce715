//! Ctrl-C: the first saves the run, the second stops at once.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::failure::Failure;
use crate::progress;

/// How often the user has asked to stop.
static ASKED: AtomicU32 = AtomicU32::new(0);
/// Whether there is anything to save when that happens.
static TRAINING: AtomicBool = AtomicBool::new(false);

/// To be called once, before anything takes long.
pub fn watch() -> Result<(), Failure> {
    let handler = || {
        // In this order: training ends soon after it has been asked to, and then must not be cut off while it says so.
        let training = TRAINING.load(Ordering::SeqCst);
        let before = ASKED.fetch_add(1, Ordering::SeqCst);
        if before > 0 || !training {
            std::process::exit(130);
        }
        progress::note(format_args!(
            "stopping: the run is being saved (once more to stop at once, without)"
        ));
    };
    ctrlc::set_handler(handler).map_err(|e| Failure::File(format!("Ctrl-C cannot be watched: {e}")))
}

/// Says whether there is a run to save from now on.
pub fn training(on: bool) {
    TRAINING.store(on, Ordering::SeqCst);
}

/// Whether the user has asked to stop.
pub fn interrupted() -> bool {
    ASKED.load(Ordering::SeqCst) > 0
}
