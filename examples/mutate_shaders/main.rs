//! Changes one token of a shader at a time, and sees whether the kernel table notices: `tests/kernels/mutations.rs` plants the
//! faults that somebody thought of, and this those that nobody did.
//!
//! `cargo run --release --example mutate_shaders -- --count 300 --seed 7` tries every barrier, without it, and 300 tokens of the
//! bodies of functions under `shaders/`, each as likely as another: an operator, a number, a name or a vector's component becomes
//! one that is easily taken for it, as far as that compiles. `--file shaders/form` tries only what is there, `--barriers` only the
//! barriers, and `--list` says what it would try. `--part 2/3` is the second of three thirds of a sample that takes too long at once.
//! RAYON_NUM_THREADS is how many it tries at once.
//!
//! A mutant is noticed once the table of any kernel that comes to the code fails, crashes or does not end. One that passes them all
//! is either equivalent, and then has its line and its reason in `equivalent.txt`, or the table misses a case: then this fails.
//! Forms of the matmul that the adapter cannot run are left out.

mod child;
mod known;
mod sites;
mod texts;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use child::Verdict;
use known::Known;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use sites::{Mutant, Site, Source};
use texts::Texts;
use wgrad::Device;

/// What went wrong with this program, not with a mutant.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A mutant that takes longer than this, and 20 times as long as the sound kernel, does not end.
const LIMIT: Duration = Duration::from_secs(120);

/// What children have in their environment: nothing more, and for what survives that on a software adapter, subgroups of 4 instead
/// of 8 on llvmpipe, because forms for subgroups have code for either.
const SETTINGS: [Setting; 2] = [&[], &[("LP_NATIVE_VECTOR_WIDTH", "128")]];

type Setting = &'static [(&'static str, &'static str)];

struct Options {
    count: usize,
    seed: u64,
    /// What the paths of the files begin with.
    file: String,
    /// Which of how many parts of the sample, from 1.
    part: (usize, usize),
    list: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut options = Self {
            count: 100,
            seed: 0,
            file: String::new(),
            part: (1, 1),
            list: false,
        };
        let mut barriers = false;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            let number = |value: String| {
                let wrong = format!("{argument} takes a whole number, not {value:?}");
                value.parse::<u64>().map_err(|_| wrong)
            };
            match argument.as_str() {
                "--count" => options.count = usize::try_from(number(value()?)?)?,
                "--seed" => options.seed = number(value()?)?,
                "--file" => options.file = value()?,
                "--part" => {
                    let text = value()?;
                    let both = text.split_once('/');
                    let both = both.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
                    options.part = both
                        .filter(|&(i, n): &(usize, usize)| (1..=n).contains(&i))
                        .ok_or(format!("--part takes I/N, as in 2/3, not {text:?}"))?;
                }
                "--barriers" => barriers = true,
                "--list" => options.list = true,
                _ => {
                    return Err(format!(
                        "unknown argument {argument}; there are --count N, --seed N, --file PATH, --part I/N, --barriers and --list"
                    )
                    .into());
                }
            }
        }
        if barriers {
            options.count = 0;
        }
        Ok(options)
    }
}

/// A mutant, and the kernels that come to it.
struct Trial<'a> {
    mutant: Mutant<'a>,
    kernels: Vec<&'static str>,
}

/// Every barrier, and as many other sites as wanted.
fn trials<'a>(
    sources: &'a [Source],
    sites: &'a [Site],
    texts: &Texts,
    options: &Options,
) -> Vec<Trial<'a>> {
    let (barriers, mut others): (Vec<&Site>, Vec<&Site>) = sites
        .iter()
        .filter(|site| sources[site.file].path.starts_with(&options.file))
        .partition(|site| site.barrier);
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    others.shuffle(&mut rng);
    let mut trial = |site: &'a Site| {
        let kernels = texts.kernels(site.file, &site.function);
        let mut replacements: Vec<&String> = site.replacements.iter().collect();
        replacements.shuffle(&mut rng);
        let mut mutants = replacements
            .into_iter()
            .map(|after| site.mutant(&sources[site.file], after));
        // Found only if a kernel comes to it at all.
        let mutant = mutants.find(|mutant| !kernels.is_empty() && texts.compile(mutant))?;
        Some(Trial {
            mutant,
            kernels: kernels.into_iter().collect(),
        })
    };
    let mut trials: Vec<Trial<'_>> = barriers.into_iter().filter_map(&mut trial).collect();
    trials.extend(
        others
            .into_iter()
            .filter_map(&mut trial)
            .take(options.count),
    );
    trials
}

/// How long the table of each kernel takes without a fault.
fn sound(
    trials: &[Trial<'_>],
    settings: &[Setting],
) -> Result<BTreeMap<&'static str, Duration>, Failure> {
    let kernels: BTreeSet<&'static str> = trials.iter().flat_map(|t| t.kernels.clone()).collect();
    let time = |kernel| {
        let mut longest = Duration::ZERO;
        for setting in settings {
            longest = match child::judge(kernel, None, setting, Duration::MAX)? {
                (Verdict::Passed, time) => time.max(longest),
                (Verdict::Noticed(how), _) => {
                    return Err(format!("{kernel} fails without a fault: {how}").into());
                }
                (Verdict::Uncompiled, _) => return Err(format!("{kernel} does not compile").into()),
            };
        }
        Ok((kernel, longest))
    };
    kernels.into_par_iter().map(time).collect()
}

/// The first kernel that notices, and how; none if all pass.
fn noticed(
    trial: &Trial<'_>,
    settings: &[Setting],
    times: &BTreeMap<&'static str, Duration>,
) -> Result<Option<(&'static str, Verdict)>, Failure> {
    let mut kernels = trial.kernels.clone();
    kernels.sort_by_key(|kernel| times[kernel]);
    for setting in settings {
        for kernel in &kernels {
            let limit = LIMIT.max(20 * times[kernel]);
            match child::judge(kernel, Some(&trial.mutant), setting, limit)?.0 {
                Verdict::Passed => {}
                verdict => return Ok(Some((kernel, verdict))),
            }
        }
    }
    Ok(None)
}

#[derive(Default)]
struct Tally {
    noticed: usize,
    uncompiled: usize,
    equivalent: usize,
    /// As lines for the list of equivalents, were they that.
    survivors: Vec<String>,
}

fn main() -> Result<ExitCode, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = Source::all(root)?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [one, rest @ ..] = &arguments[..]
        && one == "--one"
    {
        child::run(rest, &sources);
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(arguments.into_iter())?;
    let sites = Site::all(&sources);
    let known = Known::read(root)?;
    known.check(&sources, &sites)?;

    let device = Device::gpu()?;
    let texts = Texts::new(&sources, &device.forms());
    let (part, parts) = options.part;
    let trials = trials(&sources, &sites, &texts, &options).into_iter();
    let trials: Vec<_> = trials.skip(part - 1).step_by(parts).collect();
    println!("{} mutants on {device}", trials.len());
    if options.list {
        for Trial { mutant, kernels } in &trials {
            let (place, change) = (mutant.place(), mutant.change());
            println!("{place}: {change}: {}", kernels.join(", "));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let settings = &SETTINGS[..if device.is_software() { 2 } else { 1 }];
    let times = sound(&trials, settings)?;

    let tally = Mutex::new(Tally::default());
    trials
        .iter()
        .par_bridge()
        .try_for_each(|trial| -> Result<(), Failure> {
            let (place, change) = (trial.mutant.place(), trial.mutant.change());
            let entry = trial.mutant.entry();
            let listed = known.has(&entry);
            let found = noticed(trial, settings, &times)?;
            let mut tally = tally.lock().map_err(|e| e.to_string())?;
            let verdict = match found {
                Some((kernel, Verdict::Noticed(how))) => {
                    tally.noticed += 1;
                    let listed = if listed {
                        ", though listed as equivalent"
                    } else {
                        ""
                    };
                    format!("noticed by {kernel}: {how}{listed}")
                }
                Some((kernel, _)) => {
                    tally.uncompiled += 1;
                    format!("{kernel} does not compile")
                }
                None if listed => {
                    tally.equivalent += 1;
                    "survived, as an equivalent does".into()
                }
                None => {
                    tally.survivors.push(entry);
                    "SURVIVED".into()
                }
            };
            println!("{place}: {change}: {verdict}");
            Ok(())
        })?;

    let tally = tally.into_inner().map_err(|e| e.to_string())?;
    println!(
        "{} noticed, {} equivalent, {} that do not compile, {} SURVIVED",
        tally.noticed,
        tally.equivalent,
        tally.uncompiled,
        tally.survivors.len()
    );
    if tally.survivors.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("For each, a case of the table, or a line with its reason in equivalent.txt:");
    for entry in &tally.survivors {
        println!("{entry}");
    }
    Ok(ExitCode::FAILURE)
}
