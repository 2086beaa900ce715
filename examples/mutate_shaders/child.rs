//! One kernel's table with one mutation, in a process of its own: a mutant may crash its driver, or never end.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use wgrad::verify::{self, KernelOptions};
use wgrad::{Device, DeviceOptions, Fault};

use crate::sites::{Mutant, Source};
use crate::{Failure, Setting};

/// What a kernel's table says.
pub enum Verdict {
    Passed,
    /// By which check, or how else.
    Noticed(String),
    /// The driver's or wgpu's compiler refuses what naga accepts with other constants.
    Uncompiled,
}

/// How a child begins what it found.
const PASSED: &str = "passed";
const NOTICED: &str = "noticed ";
const UNCOMPILED: &str = "uncompiled";

/// Between two looks whether a child has ended.
const NAP: Duration = Duration::from_millis(10);

/// Runs a kernel's table in a child, with a mutation or without; the verdict, and the time that it took.
pub fn judge(
    kernel: &str,
    mutant: Option<&Mutant<'_>>,
    setting: Setting,
    limit: Duration,
) -> Result<(Verdict, Duration), Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--one", kernel])
        .envs(setting.iter().copied());
    if let Some(mutant) = mutant {
        let span = &mutant.site.span;
        command.args([
            &mutant.source.path,
            &span.start.to_string(),
            &span.end.to_string(),
            mutant.after,
        ]);
    }
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut waited = Duration::ZERO;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if waited > limit {
            child.kill()?;
            child.wait()?;
            let how = format!("does not end in {} s", limit.as_secs());
            return Ok((Verdict::Noticed(how), began.elapsed()));
        }
        // Counted in naps: while this program is stopped, so may be its children.
        std::thread::sleep(NAP);
        waited += NAP;
    };
    let mut said = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut said)?;
    }
    Ok((verdict(&said, status)?, began.elapsed()))
}

fn verdict(said: &str, status: ExitStatus) -> Result<Verdict, Failure> {
    let said = said.trim();
    if said == PASSED && status.success() {
        return Ok(Verdict::Passed);
    }
    if said == UNCOMPILED {
        return Ok(Verdict::Uncompiled);
    }
    if let Some(how) = said.strip_prefix(NOTICED) {
        return Ok(Verdict::Noticed(how.to_owned()));
    }
    if !status.success() {
        return Ok(Verdict::Noticed(format!("crashes with {status}")));
    }
    Err(said.into())
}

/// The child's side: kernel, and with a mutation file, start, end and text. What it prints is the verdict, or what went wrong
/// before there was one.
pub fn run(arguments: &[String], sources: &[Source]) {
    // A mutant that never ends must not outlive its parent.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::abort();
    });
    let said = table(arguments, sources).unwrap_or_else(|error| error.to_string());
    println!("{said}");
}

fn table(arguments: &[String], sources: &[Source]) -> Result<String, Failure> {
    let (kernel, fault) = match arguments {
        [kernel] => (kernel, None),
        [kernel, path, start, end, text] => {
            let source = sources.iter().find(|source| source.path == *path);
            let source = source.ok_or_else(|| format!("there is no {path}"))?;
            let code = source.mutated(start.parse()?..end.parse()?, text);
            // The whole file, because a fault goes to the first place that has its text.
            (kernel, Some(Fault::new(kernel, &source.code, &code)))
        }
        _ => return Err("--one is for this program's children".into()),
    };
    let device = Device::open(&DeviceOptions {
        // What has a fault is compiled with checks, and so what has none, whose time is compared.
        shader_checks: true,
        faults: fault.into_iter().collect(),
        ..DeviceOptions::default()
    })?;
    let options = KernelOptions {
        kernel: Some(kernel.clone()),
        fail_fast: true,
        ..KernelOptions::default()
    };
    let how = match verify::kernels_with(&device, &options) {
        Ok(report) if report.passed() => return Ok(PASSED.into()),
        Ok(report) => match report.failures().next() {
            Some(check) => check.name.clone(),
            None => "nothing was checked".into(),
        },
        Err(wgrad::Error::Kernel { .. }) => return Ok(UNCOMPILED.into()),
        Err(error) => error.to_string(),
    };
    Ok(format!("{NOTICED}{}", how.lines().next().unwrap_or("")))
}
