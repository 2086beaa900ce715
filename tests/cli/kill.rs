//! Runs that are killed.

use wgrad::CheckpointFolder;
use wgrad::fit::FitState;

use super::*;

/// Random numbers (xorshift).
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Where the run can go on from, in steps: its newest checkpoint, or the one before. None before the first.
fn place(at: &Path) -> Option<u64> {
    let folder = at.join("run/checkpoints");
    if !folder.is_dir() {
        return None;
    }
    let found = CheckpointFolder::new(&folder, 3)
        .unwrap()
        .latest()
        .unwrap()?;
    assert!(found.skipped.len() <= 1, "{:?}", found.skipped);
    let state = FitState::of(&found.checkpoint).unwrap();
    assert_eq!(state.steps, found.checkpoint.steps());
    Some(state.steps)
}

/// A run that saves after each step, killed at random times and each time taken up where it was: in the end it is the run that
/// was never killed, to the bit. `WGRAD_KILLS=200` for as many, `WGRAD_KILLS_ON=gpu` for the device.
#[test]
fn killed_at_any_time_it_goes_on_to_the_same_bits() {
    let kills = std::env::var("WGRAD_KILLS")
        .ok()
        .map(|n| n.parse().expect("WGRAD_KILLS: a number"));
    let kills: u64 = kills.unwrap_or(10);
    let at = folder();
    let at = at.path();
    digits(at);
    let often = format!(
        "--epochs {} --checkpoint-steps 1 --plots false",
        20 + kills / 2
    );
    let device = std::env::var("WGRAD_KILLS_ON").unwrap_or("cpu".into());
    let begin =
        |run: &str| format!("train digits.csv {RICH} --device {device} {often} --run {run}");
    let began = Instant::now();
    good(at, &begin("whole"));
    let (whole, started) = (began.elapsed(), Instant::now());
    good(
        at,
        &format!("train digits.csv {RICH} --device {device} --epochs 1 --plots false --run one"),
    );
    let started = started.elapsed();
    // From before it has begun to work until it has worked for twice its share of the run.
    let longest = 2 * started + 2 * whole / kills.max(1) as u32;

    let mut state = 0x2545_f491_4f6c_dd1d;
    let (mut killed, mut finished, mut went_on, mut taken_up) = (0, 0, 0, 0);
    while killed < kills {
        let before = place(at);
        // As a user would: go on if there is a run, else begin.
        let line = match at.join("run/config.toml").exists() {
            true => "train --resume run -q".into(),
            false => begin("run"),
        };
        let mut child = start(at, &line);
        std::thread::sleep(
            longest.mul_f64((random(&mut state) >> 11) as f64 / (1u64 << 53) as f64),
        );
        signal(&child, "-KILL");
        child.wait().unwrap();
        let output = child.wait_with_output().unwrap();
        match output.status.code() {
            None => {
                killed += 1;
                let after = place(at);
                // Nothing that was saved is lost, and what comes is in addition to it.
                assert!(after >= before, "{after:?} after {before:?}");
                went_on += u64::from(after > before);
                taken_up += u64::from(after > before && before > Some(0));
            }
            Some(0) => {
                finished += 1;
                same_runs(at, "whole", "run");
                fs::remove_dir_all(at.join("run")).unwrap();
            }
            code => panic!("{code:?} after {killed} kills: {}", text(&output.stderr)),
        }
    }
    match at.join("run/config.toml").exists() {
        true => good(at, "train --resume run -q"),
        false => good(at, &begin("run")),
    };
    same_runs(at, "whole", "run");
    // The last three, and no temporary files of the killed.
    assert_eq!(checkpoints(at, "run").len(), 3);
    println!(
        "{killed} kills: {went_on} times the run had gone on by then, {taken_up} times from a checkpoint of before; \
         {finished} runs finished before their kill"
    );
    // It is killed while it works, mostly, and else the campaign says little; of few kills none need be.
    assert!(kills < 10 || taken_up > 0, "{went_on} of {kills}");
}
