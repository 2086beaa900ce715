//! Schedules: the learning rates of PyTorch's, and typed errors for numbers out of range.

use serde::Deserialize;
use wgrad::schedule::{OneCycle, Per, Plateau, PlateauState, Schedule, Shape, Warmup};

#[derive(Deserialize)]
struct Fixture {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    schedule: Schedule,
    base: f64,
    total: u64,
    values: Option<Vec<f64>>,
    #[serde(default)]
    higher: bool,
    lrs: Vec<f64>,
}

#[test]
fn the_learning_rates_are_pytorchs() {
    let json = include_str!("../fixtures/lr_scheduler/schedules.json");
    let runs = serde_json::from_str::<Fixture>(json).unwrap().runs;
    let (mut warm, mut fell) = (0, 0);
    for run in &runs {
        run.schedule.check(run.total).unwrap();
        assert_eq!(run.lrs.len() as u64, run.total);
        warm += u32::from(run.schedule.warmup.is_some());
        let mut state = PlateauState::default();
        for (t, &expected) in run.lrs.iter().enumerate() {
            let lr = run.schedule.lr_after(run.base, t as u64, run.total, &state);
            // PyTorch multiplies from step to step: an ulp or two for each, and cancellation where a cosine nears its end.
            let bound = 1e-15 * (t + 1) as f64 * (4.0 * expected + run.base + 0.2);
            assert!(
                (lr - expected).abs() <= bound,
                "{:?} at {t}: {lr}, but PyTorch has {expected}",
                run.schedule
            );
            if let (Some(values), Shape::Plateau(p)) = (&run.values, &run.schedule.shape) {
                let before = state.lr;
                // The state goes through JSON between any two epochs.
                let json = serde_json::to_string(&state).unwrap();
                state = serde_json::from_str(&json).unwrap();
                state.observe(p, lr, values[t], run.higher);
                fell += u32::from(state.lr != before);
            }
        }
    }
    assert!(runs.len() > 50 && warm > 15 && fell > 20, "{warm} {fell}");
}

#[test]
fn the_ends_are_as_documented() {
    let one = Schedule::one_cycle(0.1);
    assert_eq!(one.per, Per::Step);
    assert!((one.lr(5.0, 0, 100) - 0.1 / 25.0).abs() < 1e-15);
    assert!((one.lr(5.0, 29, 100) - 0.1).abs() < 1e-15);
    assert!((one.lr(5.0, 99, 100) - 0.1 / 25e4).abs() < 1e-15);
    assert_eq!(one.lr(5.0, 1000, 100), one.lr(5.0, 99, 100));
    // Lengths for which a phase has no room.
    for total in 0..4 {
        for t in 0..5 {
            let lr = one.lr(1.0, t, total);
            assert!((0.0..=0.1 + 1e-12).contains(&lr), "{lr} at {t} of {total}");
        }
    }
    let cosine = Schedule::cosine(1e-3);
    assert_eq!(cosine.lr(0.1, 50, 10), cosine.lr(0.1, 10, 10));
    assert!(!Schedule::cosine(0.0).with_warmup(5).is_warm(4));
    assert!(Schedule::cosine(0.0).with_warmup(5).is_warm(5));
}

#[test]
fn nothing_seen_improves_on_nan() {
    let mut state = PlateauState::default();
    let plateau = Plateau {
        patience: 1,
        ..Plateau::default()
    };
    for _ in 0..2 {
        state.observe(&plateau, 1.0, f64::NAN, false);
    }
    assert_eq!((state.best, state.lr), (None, Some(0.1)));
    state.observe(&plateau, 0.1, 3.0, false);
    assert_eq!(state.best, Some(3.0));
    state.observe(&plateau, 0.1, f64::NAN, false);
    assert_eq!(state.best, Some(3.0));
}

#[test]
fn a_schedule_is_read_from_a_few_words() {
    let read = |json: &str| serde_json::from_str::<Schedule>(json).unwrap();
    assert_eq!(read("{}"), Schedule::constant());
    assert_eq!(
        read(
            r#"{"shape": {"kind": "cosine", "min_lr": 1e-5}, "warmup": {"over": 3}, "per": "step"}"#
        ),
        Schedule::cosine(1e-5).with_warmup(3).per_step()
    );
    assert_eq!(
        read(r#"{"shape": {"kind": "one_cycle", "max_lr": 0.5}}"#).shape,
        Schedule::one_cycle(0.5).shape
    );
    assert_eq!(
        read(r#"{"shape": {"kind": "plateau", "patience": 3}}"#),
        Schedule::plateau(Plateau {
            patience: 3,
            ..Plateau::default()
        })
    );
}

#[test]
fn numbers_out_of_range_are_named() {
    let one = OneCycle::default();
    let flat = Plateau::default();
    let warm = |over, start_factor| Schedule {
        warmup: Some(Warmup { over, start_factor }),
        ..Schedule::default()
    };
    let cases: Vec<(Schedule, &str)> = vec![
        (Schedule::step(0, 0.1), "every"),
        (Schedule::step(1, 0.0), "gamma"),
        (Schedule::exponential(f64::NAN), "gamma"),
        (Schedule::exponential(-0.5), "gamma"),
        (Schedule::cosine(-1.0), "min_lr"),
        (Schedule::cosine(f64::INFINITY), "min_lr"),
        (Schedule::one_cycle(-1.0), "max_lr"),
        (
            Shape::OneCycle(OneCycle {
                pct_start: 1.5,
                ..one
            })
            .into(),
            "pct_start",
        ),
        (
            Shape::OneCycle(OneCycle {
                div_factor: 0.0,
                ..one
            })
            .into(),
            "div_factor",
        ),
        (
            Shape::OneCycle(OneCycle {
                final_div_factor: 0.5,
                ..one
            })
            .into(),
            "final_div_factor",
        ),
        (
            Schedule::plateau(Plateau {
                factor: 1.0,
                ..flat
            }),
            "factor",
        ),
        (
            Schedule::plateau(Plateau {
                threshold: -0.1,
                ..flat
            }),
            "threshold",
        ),
        (
            Schedule::plateau(Plateau {
                min_lr: -0.1,
                ..flat
            }),
            "min_lr",
        ),
        (
            Schedule::plateau(Plateau {
                eps: f64::NAN,
                ..flat
            }),
            "eps",
        ),
        (Schedule::plateau(flat).per_step(), "unit"),
        (warm(3, 0.0), "start_factor"),
        (warm(3, 1.5), "start_factor"),
        (warm(0, 0.5), "warm-up"),
        (warm(10, 0.5), "warm-up"),
    ];
    for (schedule, name) in cases {
        let error = schedule.check(10).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, wgrad::Error::Argument { .. }), "{text}");
        assert!(text.contains(name), "{text} does not name {name}");
    }
}
