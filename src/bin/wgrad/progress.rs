//! What a run tells while it goes on: a bar on a terminal, plain lines elsewhere.

use std::borrow::Cow;
use std::fmt::{Arguments, Write};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use wgrad::Loss;
use wgrad::fit::{EpochRecord, Progress as Place};
use wgrad::loss::TargetKind;
use wgrad::verify::KernelProgress;

use crate::options::{ScalingRule, Settings};
use crate::output;

/// The bar that is on the terminal now.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// A line on standard error, above the bar where there is one. From any thread.
pub fn note(text: Arguments<'_>) {
    let bar = held(&BAR).clone();
    match bar {
        Some(bar) => bar.suspend(|| output::note(text)),
        None => output::note(text),
    }
}

/// Who is told what.
pub struct Voice {
    quiet: bool,
    /// Standard output is for JSON; people read standard error.
    json: bool,
    bar: Option<ProgressBar>,
}

impl Voice {
    pub fn new(quiet: bool, json: bool) -> Self {
        let bar = None;
        Self { quiet, json, bar }
    }

    /// A line for people. Training goes on where nobody reads it.
    pub fn say(&self, text: impl std::fmt::Display) {
        if self.quiet {
            return;
        }
        let (out, err) = (std::io::stdout(), std::io::stderr());
        let tell = || match self.json {
            true => output::note(format_args!("{}", output::fitted(&text, &err))),
            false => output::line(output::fitted(&text, &out)).unwrap_or_default(),
        };
        match &self.bar {
            Some(bar) => bar.suspend(tell),
            None => tell(),
        }
    }
}

/// What a lock guards, whatever became of others who held it.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bar on standard error, of so many steps.
fn bar(steps: u64) -> ProgressBar {
    ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr_with_hz(10))
}

/// How a bar looks.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("█▉▊▋▌▍▎▏ ")
}

/// Lines about epochs, where they are lines: not more than about so many.
const LINES: u64 = 100;

/// How a run goes.
pub struct RunProgress {
    pub voice: Voice,
    began: Instant,
    /// Steps made before this process took the run up.
    before: Option<u64>,
    /// Time and steps at the last look, and steps a second then.
    last: (Instant, u64),
    rate: f64,
    rows_per_step: f64,
    /// What the bar says of time.
    left: Arc<Mutex<String>>,
    loss: Option<f64>,
    record: Option<EpochRecord>,
    last_line: Option<u64>,
    /// Epochs, at most.
    epochs: u64,
}

impl RunProgress {
    pub fn new(mut voice: Voice, rows_per_step: f64) -> Self {
        let left: Arc<Mutex<String>> = Arc::default();
        if !voice.quiet && std::io::stderr().is_terminal() {
            let bar = bar(1);
            // Two lines, neither wider than the terminal.
            let style = style("{prefix} ▕{wide_bar}▏ {pos}/{len} steps{left}\n  {wide_msg}");
            let told = Arc::clone(&left);
            let style = style.with_key("left", move |_: &ProgressState, to: &mut dyn Write| {
                let _ = to.write_str(&held(&told));
            });
            bar.set_style(style);
            *held(&BAR) = Some(bar.clone());
            voice.bar = Some(bar);
        }
        let now = Instant::now();
        Self {
            voice,
            began: now,
            before: None,
            last: (now, 0),
            rate: 0.0,
            rows_per_step,
            left,
            loss: None,
            record: None,
            last_line: None,
            epochs: 0,
        }
    }

    /// Whether the loss of the running epoch is shown, and worth reading back.
    pub fn is_live(&self) -> bool {
        self.voice.bar.is_some()
    }

    /// Some steps were made.
    pub fn steps(&mut self, place: &Place, loss: Option<f64>) {
        if loss.is_some() {
            self.loss = loss;
        }
        self.show(place);
    }

    fn show(&mut self, place: &Place) {
        let done = (place.epoch - 1) * place.steps + place.step;
        let all = place.epochs * place.steps;
        let before = *self.before.get_or_insert(done);
        let passed = self.last.0.elapsed();
        let long = passed > Duration::from_millis(500);
        if long {
            self.rate = done.saturating_sub(self.last.1) as f64 / passed.as_secs_f64();
        }
        if long || self.last.1 == 0 {
            self.last = (Instant::now(), done);
        }
        let Some(bar) = &self.voice.bar else { return };
        let width = place.epochs.to_string().len();
        bar.set_prefix(format!("epoch {:>width$}/{}", place.epoch, place.epochs));
        let made = done.saturating_sub(before);
        let elapsed = self.began.elapsed().as_secs_f64();
        if made > 0 && elapsed > 0.5 {
            let left = all.saturating_sub(done) as f64 * elapsed / made as f64;
            let text = match left {
                0.0..1.0 => ", at most 1 s left".into(),
                _ => format!(", at most {} left", output::duration(left)),
            };
            *held(&self.left) = text;
        }
        let mut parts = Vec::new();
        if let Some(loss) = self.loss {
            parts.push(format!("loss {}", output::short(loss)));
        }
        if let Some(v) = self.record.and_then(|r| r.validation) {
            parts.push(format!("validation {}", output::short(v.loss)));
            if let Some(accuracy) = v.accuracy {
                parts.push(format!("accuracy {:.2} %", 100.0 * accuracy));
            }
        }
        if self.rate > 0.0 {
            let rows = output::count((self.rate * self.rows_per_step) as u64);
            parts.push(format!("{} steps/s", output::count(self.rate as u64)));
            parts.push(format!("{rows} rows/s"));
        }
        bar.set_message(parts.join(", "));
        bar.set_length(all);
        bar.set_position(done);
    }

    /// An epoch ended.
    pub fn epoch(&mut self, place: &Place, record: &EpochRecord) {
        self.loss = Some(record.loss);
        self.record = Some(*record);
        self.epochs = place.epochs;
        self.show(place);
        if self.is_live() {
            return;
        }
        let every = place.epochs.div_ceil(LINES);
        if record.epoch == 1 || record.epoch.is_multiple_of(every) || record.epoch == place.epochs {
            self.line(record, place.epochs);
        }
    }

    /// A first epoch whose loss is beyond all reason is told, with what can be done, while it can be stopped.
    pub fn first(&self, record: &EpochRecord, s: &Settings, loss: Loss) {
        let logarithmic = loss.targets() != TargetKind::Values;
        // A guess costs 1 where targets are standardised, and the logarithm of the classes.
        let most = if logarithmic { 1e2 } else { 1e4 };
        if self.voice.quiet || record.epoch != 1 || record.loss <= most {
            return;
        }
        let mut advice = Vec::new();
        if matches!(s.scaling, ScalingRule::None) {
            advice.push("--scaling standard".to_string());
        }
        if !logarithmic && !s.standardize_target {
            advice.push("--standardize-target true".into());
        }
        if s.clip_norm.is_none() {
            advice.push("--clip-norm 1".into());
        }
        advice.push(format!("an --lr below {}", record.lr));
        note(format_args!(
            "warning: the loss of the first epoch is {:.1e}, and a mere guess would cost far less: the model may be worth \
             nothing; give {}",
            record.loss,
            advice.join(" or ")
        ));
    }

    fn line(&mut self, record: &EpochRecord, epochs: u64) {
        self.last_line = Some(record.epoch);
        let width = epochs.to_string().len();
        let (epoch, loss) = (record.epoch, output::short(record.loss));
        let mut text = format!("epoch {epoch:>width$}/{epochs}  loss {loss:<9}");
        if let Some(v) = &record.validation {
            text += &format!("  validation {:<9}", output::short(v.loss));
            if let Some(accuracy) = v.accuracy {
                text += &format!("  accuracy {:>6.2} %", 100.0 * accuracy);
            }
        }
        if let Some(norm) = &record.grad_norm {
            text += &format!("  gradient {:<9}", output::short(norm.mean));
        }
        let rows = record.rows_per_second;
        let steps = output::count((rows / self.rows_per_step) as u64);
        let (took, rows) = (output::duration(record.seconds), output::count(rows as u64));
        text += &format!(
            "  lr {:.2e}  {took}  {steps} steps/s  {rows} rows/s",
            record.lr
        );
        if record.best {
            text += "  best";
        }
        self.voice.say(text);
    }

    /// The run has ended, or stops here.
    pub fn end(mut self) -> Voice {
        if let Some(bar) = self.voice.bar.take() {
            *held(&BAR) = None;
            bar.finish_and_clear();
        }
        // On a terminal it is what stays of the bar.
        if let Some(record) = self.record
            && self.last_line != Some(record.epoch)
        {
            self.line(&record, self.epochs);
        }
        self.voice
    }
}

/// What is being verified: a line on a terminal, nothing elsewhere. It goes when this is dropped.
pub struct Working(Option<ProgressBar>);

/// Of a kernel's cases, the bar shows so many steps: cases differ in number from kernel to kernel, kernels do not.
const PARTS: u64 = 100;

impl Working {
    /// A line, unless `silent`.
    pub fn new(silent: bool) -> Self {
        if silent || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = bar(0);
        // The time goes on while nothing else does.
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(Some(bar))
    }

    /// How far the kernels are.
    pub fn kernels(&self, p: &KernelProgress<'_>) {
        let Some(bar) = &self.0 else { return };
        let (all, part) = (PARTS * p.kernels as u64, PARTS * p.cases_done as u64);
        if bar.length() != Some(all) {
            bar.set_style(style("{elapsed:>4} ▕{bar:30}▏ {percent:>3} %  {wide_msg}"));
            bar.set_length(all);
        }
        bar.set_position(PARTS * p.kernels_done as u64 + part / p.cases.max(1) as u64);
        let (next, kernels, kernel) = (p.kernels_done + 1, p.kernels, &p.kernel);
        bar.set_message(format!("kernel {next} of {kernels}: {kernel}"));
    }

    /// Work without parts to count.
    pub fn on(&self, what: impl Into<Cow<'static, str>>) {
        let Some(bar) = &self.0 else { return };
        bar.set_style(style("{elapsed:>4} {spinner} {wide_msg}"));
        bar.set_message(what);
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
