//! Lists the adapters, best first. Exits with failure if there is none.

use std::process::ExitCode;

use wgrad::Device;

fn main() -> ExitCode {
    let adapters = Device::adapters();
    for adapter in &adapters {
        println!("{adapter}");
    }
    match Device::auto() {
        Ok(device) => println!("Device::auto() takes: {device}"),
        Err(error) => eprintln!("Device::auto(): {error}"),
    }
    if adapters.is_empty() {
        eprintln!("no adapter");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
