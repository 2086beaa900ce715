//! What all targets of data files do: open, fit, apply, go through in pieces.

use wgrad::{DataFile, Missing, OpenOptions, Preparation, PreparationOptions, Source, Stream};

pub fn read(name: &str, bytes: &[u8]) {
    let Ok(file) = DataFile::from_bytes(name, bytes, &OpenOptions::default()) else {
        return;
    };
    for missing in [Missing::Error, Missing::Drop, Missing::Median] {
        let options = PreparationOptions {
            missing,
            ..PreparationOptions::default()
        };
        let Ok(preparation) = Preparation::fit(&file, &options) else {
            continue;
        };
        let _ = preparation.to_string();
        let _ = preparation.apply_inputs(&file);
        let Ok(source) = preparation.source(&file) else {
            continue;
        };
        let rows = source.rows();
        let whole = preparation.apply(&file);
        let Ok(stream) = Stream::new(&source, rows.min(3), rows.min(7).max(3)) else {
            panic!("no stream of {rows} rows");
        };
        let mut streamed = 0;
        for batch in stream.shuffled(7) {
            match batch {
                Ok(batch) => streamed += batch.rows(),
                Err(_) => {
                    assert!(whole.is_err(), "a part is refused of what is accepted whole");
                    break;
                }
            }
        }
        if let Ok(whole) = whole {
            assert_eq!((whole.rows(), streamed), (rows, rows));
        }
    }
}
