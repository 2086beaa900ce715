//! The options of `wgrad train` in a TOML file, as the tool reads them: what it accepts, it writes, and reads again as the
//! same.
#![no_main]

#[allow(dead_code)]
#[path = "../../src/bin/wgrad/options.rs"]
mod options;

use options::{Named, Options, Settings, whole};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let given = match Options::parse(text, "t.toml") {
        Ok(given) => given,
        Err(wrong) => {
            assert!(wrong.to_string().starts_with("t.toml"));
            return;
        }
    };
    let read = |text: &str| match Options::parse(text, "written") {
        Ok(options) => Settings::of(options),
        Err(wrong) => panic!("what was written is refused: {wrong}\n{text}"),
    };
    let write = |settings: &Settings| match settings.text() {
        Ok(text) => text,
        Err(wrong) => panic!("what was read cannot be written: {wrong}"),
    };
    let settings = Settings::of(given.clone());
    let written = write(&settings);
    let again = read(&written);
    // As text: NaN is not equal to itself.
    assert_eq!(write(&again), written);

    // As when a run goes on: these options over those of its folder.
    match given.over(&again.options()) {
        Ok(over) => assert_eq!(write(&Settings::of(over)), written),
        Err(wrong) => panic!("{wrong}"),
    }

    let names = [&settings.activation, &settings.loss, &settings.schedule];
    for name in names {
        if let Ok(named) = Named::parse("a name", name) {
            let known = [("alpha", 1.0), ("every", 10.0), ("gamma", 0.1)];
            for x in named.arguments(&known).unwrap_or_default() {
                let _ = whole("a number", x);
            }
        }
    }
});
