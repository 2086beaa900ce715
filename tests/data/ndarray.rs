//! From and to `ndarray`.

#![cfg(feature = "ndarray")]

use ndarray::{Array2, Axis, array, s};
use wgrad::{Dataset, Error, Matrix};

#[test]
fn arrays_of_any_layout_are_matrices_and_back() {
    let a: Array2<f32> = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let m = Matrix::try_from(&a).unwrap();
    assert_eq!((m.rows(), m.cols()), (2, 3));
    assert_eq!(m.data(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(m.as_ndarray(), a);
    assert_eq!(Array2::from(m), a);

    // Transposed, every other column, rows backwards, a part of a larger array: as ndarray shows it.
    let transposed = Matrix::try_from(a.t()).unwrap();
    assert_eq!(transposed.row(0), [1.0, 4.0]);
    let columns = Matrix::try_from(a.slice(s![.., ..;2])).unwrap();
    assert_eq!(columns.data(), [1.0, 3.0, 4.0, 6.0]);
    let backwards = Matrix::try_from(a.slice(s![..;-1, ..])).unwrap();
    assert_eq!(backwards.row(0), [4.0, 5.0, 6.0]);
    for owned in [
        a.clone().reversed_axes(),
        a.clone().slice_move(s![1.., ..]),
        a.clone().slice_move(s![..1, ..]),
        a.clone().slice_move(s![..;-1, 1..]),
    ] {
        let m = Matrix::try_from(owned.clone()).unwrap();
        assert_eq!(m.as_ndarray(), owned);
    }

    // f64 keeps its digits.
    let exact = array![[1_700_000_000.25_f64], [1_700_000_000.5]];
    let m = Matrix::try_from(exact.clone()).unwrap();
    assert_eq!(m.data(), [1_700_000_000.25, 1_700_000_000.5]);
    assert_eq!(Array2::from(m), exact);
}

#[test]
fn arrays_that_are_no_matrices_are_refused() {
    let nan = array![[0.0, 1.0], [f64::NAN, 2.0]];
    assert!(matches!(
        Matrix::try_from(&nan),
        Err(Error::Value { row: 1, col: 0, .. })
    ));
    let none: Array2<f32> = Array2::zeros((3, 0));
    assert!(matches!(Matrix::try_from(none), Err(Error::Shape { .. })));
    let rowless: Array2<f32> = Array2::zeros((0, 2));
    let matrix = Matrix::try_from(rowless).unwrap();
    assert_eq!((matrix.rows(), matrix.cols()), (0, 2));
}

#[test]
fn data_sets_come_from_arrays() {
    let x = array![[0.5, 1.0], [1.5, -2.0], [0.25, 0.0]];
    let data = Dataset::classes_from_ndarray(x.view(), array![2_u8, 0, 1].view()).unwrap();
    assert_eq!(data.labels(), Some(&[2, 0, 1][..]));
    assert_eq!(data.inputs().data(), [0.5, 1.0, 1.5, -2.0, 0.25, 0.0]);
    let same = Dataset::classes_from_ndarray(x.view(), array![2_usize, 0, 1].view()).unwrap();
    assert_eq!(same, data);

    let t = array![1.0_f32, 2.0, 3.0];
    let column = t.view().insert_axis(Axis(1));
    let data = Dataset::values_from_ndarray(x.view(), column).unwrap();
    assert_eq!(data.target_values().unwrap().data(), [1.0, 2.0, 3.0]);

    for (labels, wrong) in [
        (array![0_i64, -1, 1], "-1"),
        (array![0, 1 << 32, 1], "4294967296"),
    ] {
        let error = Dataset::classes_from_ndarray(x.view(), labels.view()).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("row 1") && said.contains(wrong), "{said}");
    }
    let few = Dataset::classes_from_ndarray(x.view(), array![0_u32].view());
    assert!(matches!(few, Err(Error::Shape { .. })), "{few:?}");
    let large = array![[1e300], [0.0], [0.0]];
    let error = Dataset::values_from_ndarray(x.view(), large.view()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Value {
                value: 1e300,
                row: 0,
                col: 0,
                ..
            }
        ),
        "{error:?}"
    );
}
