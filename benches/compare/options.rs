//! The command line.

use std::error::Error;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use wgrad::{AdapterChoice, Device, DeviceOptions, TuningCache};

const USAGE: &str = "\
Measures this GPU against this CPU on training, and prints a Markdown report.

  --seconds S      seconds for each figure, 0.01 to 60 (0.5)
  --quick          a short run, to see that everything works: its figures mean little
  --adapter NAME   the GPU whose name contains NAME; else the best
  --json FILE      write every figure there too
  --plots FOLDER   draw how time and memory grow, as SVG files
  --help           print this";

pub struct Options {
    /// For each figure.
    pub seconds: f64,
    /// That each figure is measured in, devices taking turns; the median counts.
    pub turns: usize,
    pub quick: bool,
    pub json: Option<PathBuf>,
    pub plots: Option<PathBuf>,
    pub adapter: Option<AdapterChoice>,
    tuned: Tuned,
}

/// A folder for the tuner's choices, so that each product is measured once in a run, and anew in the next.
struct Tuned(PathBuf);

impl Drop for Tuned {
    fn drop(&mut self) {
        // It is there only if something was tuned.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Options {
    /// The options of this process; nothing if it was asked for help, which is then printed.
    pub fn parse() -> Result<Option<Self>, Box<dyn Error>> {
        let mut options = Self {
            seconds: 0.5,
            turns: 3,
            quick: false,
            json: None,
            plots: None,
            adapter: None,
            tuned: Tuned(
                std::env::temp_dir().join(format!("wgrad-compare-{}", std::process::id())),
            ),
        };
        let mut seconds = None;
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                // What cargo bench passes on.
                "--bench" => {}
                "--seconds" => {
                    let value = value()?;
                    let parsed = value.parse().ok();
                    let parsed = parsed.filter(|s: &f64| (0.01..=60.0).contains(s));
                    seconds = Some(parsed.ok_or(format!(
                        "--seconds takes a number from 0.01 to 60, not {value:?}"
                    ))?);
                }
                "--quick" => options.quick = true,
                "--json" => options.json = Some(value()?.into()),
                "--plots" => options.plots = Some(value()?.into()),
                "--adapter" => options.adapter = Some(AdapterChoice::Name(value()?)),
                "--help" | "-h" => {
                    println!("{USAGE}");
                    return Ok(None);
                }
                other => return Err(format!("there is no option {other}\n\n{USAGE}").into()),
            }
        }
        if options.quick {
            (options.seconds, options.turns) = (0.02, 1);
        }
        options.seconds = seconds.unwrap_or(options.seconds);
        // Before minutes of measuring, not after.
        if let Some(file) = &options.json {
            writable(file, "--json")?;
        }
        if let Some(folder) = &options.plots {
            std::fs::create_dir_all(folder)
                .map_err(|e| format!("--plots {}: {e}", folder.display()))?;
            let probe = folder.join("width.svg");
            writable(&probe, "--plots")?;
        }
        Ok(Some(options))
    }

    /// Opens the GPU. Nothing that earlier runs measured decides its choices.
    pub fn open(&self, options: DeviceOptions) -> Result<Device, wgrad::Error> {
        Device::open(&DeviceOptions {
            adapter: self.adapter.clone(),
            cache: TuningCache::Folder(self.tuned.0.clone()),
            ..options
        })
    }

    /// Seconds that one step may take: a larger one is left out where sizes grow.
    pub fn limit(&self) -> f64 {
        2.0 * self.seconds
    }
}

fn writable(file: &Path, option: &str) -> Result<(), String> {
    let there = file.exists();
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened.map_err(|e| format!("{option}: {} cannot be written: {e}", file.display()))?;
    if !there {
        // Nothing is known to put there yet.
        let _ = std::fs::remove_file(file);
    }
    Ok(())
}
