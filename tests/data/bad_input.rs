//! Bad input to matrices and data sets: each kind gives a typed error that says what came, what is allowed and what to do. Bad
//! input to training stands in `tests/training/bad_input.rs`.

use wgrad::{Dataset, Error, Matrix};

use crate::common::{numbers, refused};

fn matrix(rows: usize, cols: usize) -> Matrix {
    Matrix::new(cols, numbers(rows * cols, rows)).unwrap()
}

fn classes(rows: usize) -> Dataset {
    let labels = (0..rows).map(|r| (r * r % 2) as u32).collect();
    Dataset::classes(matrix(rows, 3), labels).unwrap()
}

fn values(rows: usize) -> Dataset {
    Dataset::values(matrix(rows, 3), matrix(rows, 2)).unwrap()
}

#[test]
fn a_number_that_is_not_finite_is_named_with_row_and_column() {
    for (bad, printed) in [
        (f32::NAN, "NaN"),
        (f32::INFINITY, "inf"),
        (f32::NEG_INFINITY, "-inf"),
    ] {
        let mut data = numbers(12, 0);
        data[7] = bad;
        refused!(
            Matrix::new(3, data.clone()),
            Error::Value { row: 2, col: 1, .. },
            [printed, "row 2, column 1", "finite"]
        );
        let rows: Vec<&[f32]> = data.chunks(4).collect();
        refused!(
            Matrix::from_rows(&rows),
            Error::Value { row: 1, col: 3, .. },
            [printed, "row 1, column 3", "finite"]
        );
    }
}

#[test]
fn a_matrix_needs_whole_rows_of_one_length() {
    refused!(
        Matrix::new(3, vec![0.0; 7]),
        Error::Shape { .. },
        ["7 elements", "multiple of 3", "whole rows"]
    );
    refused!(
        Matrix::new(0, vec![0.0; 7]),
        Error::Shape { .. },
        ["7 elements", "at least one column"]
    );
    refused!(
        Matrix::new(0, Vec::<f32>::new()),
        Error::Shape { .. },
        ["at least one column"]
    );
    refused!(
        Matrix::from_rows(&[vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0]]),
        Error::Shape { .. },
        ["row 2", "1 columns", "2 columns", "one length"]
    );
    refused!(
        Matrix::from_rows(&[vec![], vec![5.0]]),
        Error::Shape { .. },
        ["row 1", "1 columns", "0 columns"]
    );
    let none: [[f32; 2]; 0] = [];
    refused!(
        Matrix::from_rows(&none),
        Error::EmptyData { .. },
        ["0 rows", "at least 1"]
    );
    // Three rows there are; it is the columns that are missing.
    let empty: [[f32; 0]; 3] = [[]; 3];
    refused!(
        Matrix::from_rows(&empty),
        Error::Shape { .. } | Error::EmptyData { .. },
        ["0 columns"]
    );
}

#[test]
fn a_batch_size_of_0_or_beyond_the_data_is_refused() {
    let data = classes(10);
    for size in [0, 11, usize::MAX] {
        let asked = format!("a batch of {size} rows");
        refused!(
            data.batches(size),
            Error::BatchSize { batch, rows: 10 } if batch == size,
            [asked, "the data set has 10", "choose 1 to 10"]
        );
    }
    assert_eq!(data.batches(10).unwrap().count(), 1);
}

#[test]
fn a_split_needs_a_fraction_that_leaves_rows_for_both_parts() {
    let data = values(10);
    for (fraction, printed) in [
        (0.0, "is 0,"),
        (1.0, "is 1,"),
        (-0.5, "is -0.5,"),
        (1.5, "is 1.5,"),
        (f64::NAN, "is NaN,"),
        (f64::INFINITY, "is inf,"),
    ] {
        refused!(
            data.split(fraction, 0),
            Error::Argument { .. },
            ["fraction", printed, "(0, 1)"]
        );
    }
    for fraction in [0.01, 0.99] {
        let printed = format!("{fraction} with 10 rows");
        refused!(
            data.split(fraction, 0),
            Error::Argument { .. },
            ["fraction", printed, "rows for both parts"]
        );
    }
    refused!(
        values(1).split(0.5, 0),
        Error::Argument { .. },
        ["0.5 with 1 rows", "rows for both parts"]
    );
}

/// Stratification may not round every class into the same part.
#[test]
fn a_split_of_many_small_classes_has_both_parts() {
    let labels = (0..100).map(|r| r / 2).collect();
    let data = Dataset::classes(matrix(100, 3), labels).unwrap();
    let (first, second) = data.split(0.8, 0).unwrap();
    assert_eq!(first.rows() + second.rows(), 100);
    assert!((75..=85).contains(&first.rows()), "{}", first.rows());
}
