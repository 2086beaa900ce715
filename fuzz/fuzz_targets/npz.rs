#![no_main]

mod data;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| data::read("a.npz", bytes));
