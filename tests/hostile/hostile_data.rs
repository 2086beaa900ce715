//! Damaged and hostile files of data: cut short at every byte, with bits turned, with sizes that no file has. Each is read or
//! refused; none makes a panic, and none an allocation that the file's own size does not account for.

use std::path::Path;
use std::sync::atomic::Ordering;

use crate::{LARGEST, Random, alone};
use wgrad::{CsvOptions, DataFile, OpenOptions, Preparation, PreparationOptions, Table};

/// What no reading of a file of a few hundred bytes may exceed in one piece: deflate unpacks at most 1032 times its bytes, an
/// 8-bit number takes 8 bytes as an index, and readers have buffers of some tens of KiB.
const MOST: usize = 1 << 20;

/// Reads and prepares; says whether it went well.
fn read(name: &str, bytes: &[u8]) -> bool {
    let Ok(file) = DataFile::from_bytes(name, bytes, &OpenOptions::default()) else {
        return false;
    };
    let Ok(preparation) = Preparation::fit(&file, &PreparationOptions::default()) else {
        return false;
    };
    let inputs = preparation.apply_inputs(&file);
    // Without targets there are inputs alone.
    let _ = preparation.apply(&file);
    inputs.is_ok()
}

fn check(name: &str, bytes: &[u8]) -> bool {
    LARGEST.store(0, Ordering::Relaxed);
    let good = read(name, bytes);
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(
        largest <= MOST,
        "{name}: {largest} bytes at once, for {bytes:02x?}"
    );
    good
}

const CSV: &str = "a,b,label\n1,\"x\ny\",p\n2,\"z\"\"z\",q\n\n3,x,p\n";

#[test]
fn damaged_files_are_read_or_refused() {
    let _alone = alone();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data");
    let names = [
        "f4.npy",
        "fortran.npy",
        "images.npy",
        "train-images-idx3-ubyte",
        "train-images-idx3-ubyte.gz",
        "floats.idx",
        "pair.npz",
        "packed.npz",
        "pair.safetensors",
    ];
    let mut files: Vec<(&str, Vec<u8>)> = names
        .iter()
        .map(|&name| (name, std::fs::read(folder.join(name)).unwrap()))
        .collect();
    files.push(("table.csv", CSV.into()));
    for (name, bytes) in &files {
        assert!(check(name, bytes), "{name}, undamaged, was refused");
        for len in 0..bytes.len() {
            let good = check(name, &bytes[..len]);
            // What is cut of a table may be a table.
            assert!(
                !good || *name == "table.csv",
                "{name} was accepted at {len} bytes"
            );
        }
        let mut random = Random(7);
        for _ in 0..3000 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random.below(3) {
                let at = random.below(damaged.len());
                damaged[at] ^= 1 << random.below(8);
            }
            check(name, &damaged);
        }
        // Bytes of the header, each set to what sizes are made of.
        for at in 0..bytes.len().min(128) {
            for value in [0x00, 0x7f, 0x80, 0xff, b'9', b'(', b'"'] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                check(name, &damaged);
            }
        }
    }
    // A little gzip of much, where the header states little.
    let mut bomb = Vec::new();
    let level = flate2::Compression::best();
    let mut encoder = flate2::write::GzEncoder::new(&mut bomb, level);
    let header = [0, 0, 8, 1, 0, 0, 0, 4];
    std::io::Write::write_all(&mut encoder, &header).unwrap();
    std::io::Write::write_all(&mut encoder, &vec![0; 64 << 20]).unwrap();
    encoder.finish().unwrap();
    assert!(bomb.len() < MOST);
    assert!(!check("bomb.idx.gz", &bomb));
    // A table whose lines are short, many or long beyond reason.
    for text in [
        ",".repeat(100_000),
        "\n".repeat(100_000),
        "\"".repeat(100_000),
        "1\n".repeat(50_000),
        "9".repeat(100_000),
    ] {
        LARGEST.store(0, Ordering::Relaxed);
        let _ = Table::from_bytes("t.csv", text.as_bytes(), &CsvOptions::default());
        // Each comma makes a value, whose end is 8 bytes, and a column, of which some 200 bytes are known; vectors grow twofold.
        let largest = LARGEST.load(Ordering::Relaxed);
        assert!(
            largest <= 512 * text.len(),
            "{largest} bytes for {}",
            text.len()
        );
    }
}
