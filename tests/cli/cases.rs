//! Inputs on which the tool once answered wrongly, each with what is right. They stand in `tests/fixtures/data/cases`.

use super::*;

/// A case's files, in a folder of their own.
fn case(name: &str) -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/data/cases")
        .join(name);
    let at = folder();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), at.path().join(entry.file_name())).unwrap();
    }
    at
}

/// Trains without a word, into the folder `r`.
#[track_caller]
fn trained(at: &Path, what: &str) {
    good(at, &format!("train {what} --plots false -q --run r"));
}

/// What is said before training.
#[track_caller]
fn dry(at: &Path, what: &str) -> String {
    let output = command(at, &format!("train {what} --dry-run"))
        .output()
        .unwrap();
    let said = text(&output.stderr) + &text(&output.stdout);
    assert!(output.status.success(), "{what}: {said}");
    said
}

/// The numbers of a column of CSV, by its number.
fn column(csv: &str, col: usize) -> Vec<f64> {
    let cell = |line: &str| line.split(',').nth(col).unwrap().parse().unwrap();
    csv.lines().skip(1).map(cell).collect()
}

/// R², as scikit-learn has it, in f64.
fn r2(predicted: &[f64], targets: &[f64]) -> f64 {
    assert_eq!(predicted.len(), targets.len());
    let mean = targets.iter().sum::<f64>() / targets.len() as f64;
    let square = |x: f64| x * x;
    let rest: f64 = predicted
        .iter()
        .zip(targets)
        .map(|(p, t)| square(t - p))
        .sum();
    let spread: f64 = targets.iter().map(|t| square(t - mean)).sum();
    1.0 - rest / spread
}

/// The R² that `evaluate` tells.
#[track_caller]
fn told_r2(at: &Path, data: &str) -> f64 {
    let report = json(&good(at, &format!("evaluate r {data} --json")));
    report["report"]["scores"]["regression"]["r2"]
        .as_f64()
        .unwrap_or_else(|| panic!("{report}"))
}

#[track_caller]
fn told_accuracy(at: &Path, data: &str) -> f64 {
    let report = json(&good(at, &format!("evaluate r {data} --json")));
    report["report"]["evaluation"]["accuracy"]
        .as_f64()
        .unwrap_or_else(|| panic!("{report}"))
}

#[test]
fn ids_beyond_2_to_the_53_are_classes_of_their_own() {
    let at = case("big_ids");
    let said = dry(at.path(), "data.csv");
    says(
        &said,
        &["3 classes (1700000000000000001, 1700000000000000002, 1800000000000000007)"],
    );
    trained(at.path(), "data.csv --epochs 200");
    let answers = good(at.path(), "predict r data.csv");
    for id in [
        "1700000000000000001",
        "1700000000000000002",
        "1800000000000000007",
    ] {
        assert!(answers.lines().any(|line| line == id), "{id}");
    }
}

#[test]
fn a_last_line_of_spaces_is_empty() {
    let at = case("blank_tail");
    says(&dry(at.path(), "data.csv"), &["data.csv: 60 rows"]);
}

#[test]
fn a_last_batch_of_one_row_is_no_error_for_batch_normalisation() {
    let at = case("bn_single");
    let options = "--norm batch --validation 0 --epochs 3 --batch-size 64";
    trained(at.path(), &format!("data.csv {options}"));
}

#[test]
fn a_class_that_is_written_in_several_ways_has_one_name_in_every_run() {
    let at = case("class_name_tie");
    let mut models = Vec::new();
    for run in 0..20 {
        let options = "--task classification --epochs 2 --plots false -q";
        good(at.path(), &format!("train data.csv {options} --run r{run}"));
        models.push(model(at.path(), &format!("r{run}")));
    }
    assert!(models.iter().all(|model| *model == models[0]));
    let answers = good(at.path(), "predict r0 data.csv");
    let names: std::collections::BTreeSet<&str> = answers.lines().skip(1).collect();
    assert!(
        !(names.contains("1.0") && names.contains("1e0")),
        "{names:?}"
    );
}

#[test]
fn decimal_commas_are_numbers() {
    let at = case("decimal_comma");
    let said = dry(at.path(), "data.csv");
    says(
        &said,
        &[
            "2 column(s) of numbers",
            "target column \"power\": a value",
            "decimal",
        ],
    );
    trained(at.path(), "data.csv");
    let truth = read(&at.path().join("point.csv")).replace(';', ",");
    let predicted = column(&good(at.path(), "predict r data.csv"), 0);
    let right = r2(&predicted, &column(&truth, 2));
    assert!(right > 0.95, "{right}");
    // The same numbers with points give the same model, bit for bit.
    good(at.path(), "train point.csv --plots false -q --run p");
    assert_eq!(
        column(&good(at.path(), "predict p point.csv"), 0),
        predicted
    );
    let said = dry(at.path(), "nohead.csv");
    says(&said, &["3 columns", "2 classes (cold, warm)"]);
}

#[test]
fn names_that_repeat_are_a_header_and_an_error() {
    let at = case("dup_header_text");
    let said = bad(at.path(), "train data.csv --dry-run", 3);
    says(&said, &["line 1", "both \"colour\"", "--header false"]);
}

#[test]
fn a_header_of_numbers_is_a_header() {
    let at = case("int_header");
    says(
        &dry(at.path(), "data.csv"),
        &["120 rows", "2 classes (down, up)", "header"],
    );
    says(
        &dry(at.path(), "years.csv"),
        &["120 rows", "2 classes (down, up)"],
    );
    says(&dry(at.path(), "data.csv --target label"), &["120 rows"]);
    // Said not to be one, the advice is the option.
    let said = bad(at.path(), "train data.csv --header false --target label", 3);
    says(&said, &["--header true"]);
}

#[test]
fn a_column_with_too_many_categories_can_be_left_out_or_allowed() {
    let at = case("many_categories");
    let said = bad(at.path(), "train data.csv --dry-run", 3);
    says(&said, &["1200 categories", "--max-categories", "--exclude"]);
    let said = dry(at.path(), "data.csv --exclude name");
    says(&said, &["left out"]);
    dry(
        at.path(),
        "data.csv --max-categories 1200 --categorical name",
    );
}

#[test]
fn what_counts_as_missing_can_be_said() {
    let at = case("na_category");
    let said = bad(at.path(), "train data.csv --dry-run", 3);
    says(&said, &["\"NA\" is missing", "--na-values", "--missing"]);
    let said = dry(at.path(), "data.csv --na-values ''");
    says(&said, &["NA", "120 rows"]);
    // It is stored: new rows are read alike.
    trained(at.path(), "data.csv --na-values '' --epochs 2");
    assert_eq!(good(at.path(), "predict r data.csv").lines().count(), 121);
    let said = bad(at.path(), "train target.csv --dry-run", 3);
    says(&said, &["it is what shall be learnt", "--na-values"]);
    dry(at.path(), "target.csv --na-values ''");
}

#[test]
fn a_column_that_differs_by_rounding_noise_is_constant() {
    let at = case("near_constant");
    says(&dry(at.path(), "data.csv"), &["1 constant: bias"]);
    trained(at.path(), "data.csv");
    let answers = good(at.path(), "predict r new.csv");
    let answers: Vec<&str> = answers.lines().skip(1).collect();
    assert_eq!(answers, ["down", "down", "up", "up"]);
}

#[test]
fn doubles_keep_their_digits_whatever_file_they_come_in() {
    let at = case("npy_f64_offset");
    trained(at.path(), "x.npy --targets y.npy");
    let arrays = told_r2(at.path(), "x.npy --targets y.npy");
    assert!(arrays > 0.99, "{arrays}");
    fs::rename(at.path().join("r"), at.path().join("arrays")).unwrap();
    trained(at.path(), "same.csv");
    assert_eq!(told_r2(at.path(), "same.csv"), arrays);
}

#[test]
fn prices_in_an_array_of_integers_are_numbers() {
    let at = case("npy_int_price");
    says(
        &dry(at.path(), "x.npy --targets y.npy"),
        &["a value, standardised", "100 different whole numbers"],
    );
    says(
        &dry(at.path(), "x.npy --targets y.npy --task classification"),
        &["warning", "100 classes for 100 rows", "--task regression"],
    );
}

#[test]
fn labels_in_arrays_are_classes_as_they_are_in_tables() {
    let at = case("npy_labels");
    says(
        &dry(at.path(), "x.npy --targets pm1.npy"),
        &["2 classes (-1, 1)"],
    );
    let said = dry(at.path(), "x.npy --targets strl.npy");
    says(&said, &["classes ("]);
    says(
        &dry(at.path(), "x.npy --targets f01.npy"),
        &["2 classes (0, 1)"],
    );
    trained(at.path(), "x.npy --targets strl.npy --epochs 2");
}

#[test]
fn a_column_of_an_array_is_left_out_when_that_is_asked_for() {
    let at = case("npy_options_ignored");
    trained(at.path(), "x.npy --targets y.npy --exclude 0");
    // Column 0 is the label itself.
    let without = told_accuracy(at.path(), "x.npy --targets y.npy");
    assert!(without < 0.8, "{without}");
    for option in [
        "--delimiter ;",
        "--header true",
        "--decimal ,",
        "--thousands .",
        "--na-values x",
        "--inputs-array x",
        "--targets-array y",
    ] {
        let said = bad(
            at.path(),
            &format!("train x.npy --targets y.npy --dry-run {option}"),
            2,
        );
        says(&said, &[option.split(' ').next().unwrap()]);
    }
}

#[test]
fn a_delimiter_can_be_called_by_name() {
    let at = case("tab_delimiter");
    for name in ["'\\t'", "tab"] {
        says(
            &dry(at.path(), &format!("tab.dat --delimiter {name}")),
            &["3 columns"],
        );
    }
}

#[test]
fn a_target_far_from_zero_keeps_its_digits() {
    let at = case("target_offset");
    trained(at.path(), "data.csv --epochs 200 --lr 0.01");
    let predicted = column(&good(at.path(), "predict r data.csv"), 0);
    let table = read(&at.path().join("data.csv"));
    let col = table.lines().next().unwrap().split(',').count() - 1;
    let targets = column(&table, col);
    let right = r2(&predicted, &targets);
    assert!(right > 0.98, "{right}");
    let worst = predicted.iter().zip(&targets);
    let worst = worst.map(|(p, t)| (p - t).abs()).fold(0.0, f64::max);
    assert!(worst < 10.0, "{worst}");
    // What is told is what the predictions are worth, to the last digit that is printed.
    let told = told_r2(at.path(), "data.csv");
    assert_eq!(format!("{told:.10}"), format!("{right:.10}"));
    fs::rename(at.path().join("r"), at.path().join("seconds")).unwrap();
    let utm = read(&at.path().join("utm.csv"));
    let col = utm.lines().next().unwrap().split(',').count() - 1;
    trained(at.path(), "utm.csv");
    let predicted = column(&good(at.path(), "predict r utm.csv"), 0);
    let right = r2(&predicted, &column(&utm, col));
    assert!(right > 0.98, "{right}");
    assert!((told_r2(at.path(), "utm.csv") - right).abs() < 1e-9);
}

#[test]
fn new_data_is_read_as_the_training_data_was() {
    let at = case("text_no_header");
    // The first line's values stand below it: it is no header.
    says(&dry(at.path(), "data.csv"), &["without a header"]);
    trained(at.path(), "data.csv --header false --epochs 5");
    assert_eq!(good(at.path(), "predict r new.csv").lines().count(), 5);
    says(&good(at.path(), "evaluate r test.csv"), &["(4 rows)"]);
    let one = read(&at.path().join("new.csv"));
    fs::write(at.path().join("one.csv"), one.lines().next().unwrap()).unwrap();
    assert_eq!(good(at.path(), "predict r one.csv").lines().count(), 2);
}

#[test]
fn thousands_separators_and_currency_signs_are_never_fractions() {
    let at = case("thousands");
    let output = command(at.path(), "train data.csv --dry-run")
        .output()
        .unwrap();
    let said = text(&output.stderr) + &text(&output.stdout);
    match output.status.success() {
        true => says(&said, &["a value, standardised", "thousands"]),
        false => says(&said, &["--thousands"]),
    }
    let said = dry(at.path(), "data.csv --thousands ,");
    says(&said, &["a value, standardised"]);
    trained(at.path(), "data.csv --thousands , --epochs 2");
    let all = column(&good(at.path(), "predict r data.csv"), 0);
    assert!(all.iter().all(|x| x.abs() > 1000.0), "not thousands");
    let said = bad(at.path(), "train money.csv --dry-run", 3);
    says(&said, &["\"$\""]);
}

#[test]
fn bytes_are_scaled_by_255_where_they_are_images_only() {
    let at = case("u8_tabular");
    trained(at.path(), "survey.npy --targets score.npy");
    let bytes = told_r2(at.path(), "survey.npy --targets score.npy");
    assert!(bytes > 0.99, "{bytes}");
    fs::remove_dir_all(at.path().join("r")).unwrap();
    trained(at.path(), "survey_f.npy --targets score.npy");
    assert_eq!(
        told_r2(at.path(), "survey_f.npy --targets score.npy"),
        bytes
    );
    for kind in ["u8", "i8", "bool"] {
        fs::remove_dir_all(at.path().join("r")).unwrap();
        trained(at.path(), &format!("x_{kind}.npy --targets y.npy"));
        let right = told_accuracy(at.path(), &format!("x_{kind}.npy --targets y.npy"));
        assert!(right > 0.95, "{kind}: {right}");
    }
    says(&dry(at.path(), "img.npy --targets l.npy"), &["times 1/255"]);
    let said = dry(at.path(), "x_u8.npy --targets y.npy --scaling bytes");
    says(&said, &["times 1/255"]);
}

#[test]
fn columns_set_apart_by_runs_of_spaces_are_read() {
    let at = case("whitespace");
    for delimiter in ["", "--delimiter ' '", "--delimiter whitespace"] {
        says(
            &dry(at.path(), &format!("data.txt {delimiter}")),
            &["100 rows", "4 columns", "3 classes (1, 2, 3)"],
        );
    }
}

#[test]
fn tables_of_inputs_and_of_targets_go_together() {
    let at = case("xy_csv_pair");
    says(
        &dry(at.path(), "X.csv --targets y.csv"),
        &["60 rows", "target column \"y\": 2 classes (p, q)"],
    );
    trained(at.path(), "X.csv --targets y.csv --epochs 2");
    good(at.path(), "evaluate r X.csv --targets y.csv");
    assert_eq!(good(at.path(), "predict r X.csv").lines().count(), 61);
}

#[test]
fn archives_and_workbooks_are_called_by_their_names() {
    let at = case("zip_csv");
    let said = bad(at.path(), "train data.csv.zip --dry-run", 3);
    says(&said, &["is a ZIP of data.csv", "unpack it"]);
    let said = bad(at.path(), "train book.xlsx --dry-run", 3);
    says(&said, &["is an Excel workbook", "save it as CSV"]);
}

/// A column that was constant in training says nothing of new rows, whatever they have there.
#[test]
fn a_constant_column_does_not_move_answers() {
    let at = folder();
    let at = at.path();
    let rows: String = (0..60)
        .map(|i| format!("2023,{},{}\n", i % 10, 3 * (i % 10)))
        .collect();
    fs::write(at.join("t.csv"), format!("year,a,y\n{rows}")).unwrap();
    trained(at, "t.csv --task regression --epochs 5");
    fs::write(at.join("new.csv"), "year,a\n2023,1\n2024,1\n0,1\n").unwrap();
    let answers = column(&good(at, "predict r new.csv"), 0);
    assert!(answers.iter().all(|x| *x == answers[0]), "{answers:?}");
}

/// Rows of weight 0 take no part; batches of nothing else do not end a run.
#[test]
fn rows_that_weigh_nothing_take_no_part() {
    let at = folder();
    let at = at.path();
    let row = |i: usize| format!("{},{},{}\n", i * 7 % 13, (i + 1) % 2, i % 3);
    let rows: String = (0..60).map(row).collect();
    fs::write(at.join("t.csv"), format!("a,w,y\n{rows}")).unwrap();
    trained(at, "t.csv --weights-column w --epochs 3 --batch-size 2");
    // New data needs no weights.
    fs::write(at.join("new.csv"), "a,y\n1,0\n2,1\n").unwrap();
    says(&good(at, "evaluate r new.csv"), &["2 rows"]);
    let said = bad(
        at,
        "train t.csv --class-weights 0=0,1=0,2=0 --exclude w --run s",
        2,
    );
    says(&said, &["weight 0"]);
}

/// Rows that are held out have no part in means and deviations: the stored ones are those of the rows to train on.
#[test]
fn rows_that_are_held_out_have_no_part_in_the_preparation() {
    let at = folder();
    let at = at.path();
    let x = |i: usize| (i * i % 37) as f64 + 0.5;
    let rows: String = (0..50).map(|i| format!("{},{}\n", x(i), i % 2)).collect();
    fs::write(at.join("t.csv"), format!("x,y\n{rows}")).unwrap();
    let told = json(&good(at, "train t.csv --dry-run --json"));
    let encoding = &told["data"]["preparation"]["inputs"][0]["encoding"]["Number"];
    let shift = encoding["shift"].as_f64().unwrap();
    let all = (0..50).map(x).sum::<f64>() / 50.0;
    assert!(shift != all, "{shift} is the mean of all rows");
    // A row that is changed moves the mean if it is trained on, and only then: a fifth do not.
    let still = (0..50).filter(|&changed| {
        let x = |i: usize| if i == changed { 1000.0 } else { x(i) };
        let rows: String = (0..50).map(|i| format!("{},{}\n", x(i), i % 2)).collect();
        fs::write(at.join("t.csv"), format!("x,y\n{rows}")).unwrap();
        let told = json(&good(at, "train t.csv --dry-run --json"));
        let encoding = &told["data"]["preparation"]["inputs"][0]["encoding"]["Number"];
        encoding["shift"].as_f64() == Some(shift)
    });
    assert_eq!(still.count(), 10);
}

/// A file of targets is where targets are looked for; a column of inputs beside it is none, and none may stand in both.
#[test]
fn targets_that_stand_by_themselves_are_looked_for_there() {
    let at = case("xy_csv_pair");
    let at = at.path();
    let said = bad(at, "train X.csv --targets y.csv --target 0 --dry-run", 2);
    says(&said, &["a column of inputs", "stand by themselves"]);
    let both: String = read(&at.join("X.csv"))
        .lines()
        .zip(read(&at.join("y.csv")).lines())
        .map(|(x, y)| format!("{x},{y}\n"))
        .collect();
    fs::write(at.join("both.csv"), both).unwrap();
    let said = bad(at, "train both.csv --targets y.csv --dry-run", 3);
    says(
        &said,
        &["column \"y\"", "among the inputs too", "--exclude y"],
    );
    dry(at, "both.csv --targets y.csv --exclude y");
}

/// A column that tells rows apart goes with the answers under the name that it had in training, wherever it stands.
#[test]
fn ids_go_with_answers_where_the_target_is_absent() {
    let at = folder();
    let at = at.path();
    let rows: Vec<String> = (0..40)
        .map(|i| format!("{}.5,id{i:03},{}", i % 5, i * 7 % 11))
        .collect();
    fs::write(at.join("t.csv"), rows.join("\n")).unwrap();
    trained(at, "t.csv --target 0 --id 1 --header false --epochs 2");
    let narrow: Vec<&str> = rows
        .iter()
        .map(|row| row.split_once(',').unwrap().1)
        .collect();
    fs::write(at.join("n.csv"), narrow.join("\n")).unwrap();
    let answers = good(at, "predict r n.csv");
    let mut lines = answers.lines();
    assert_eq!(lines.next().unwrap(), "column 1,column 0");
    assert!(lines.next().unwrap().starts_with("id000,"));
    assert_eq!(answers, good(at, "predict r t.csv"));
    let said = bad(at, "predict r t.csv --id nothing", 3);
    says(&said, &["no column \"nothing\""]);
    assert_eq!(
        text(
            &command(at, "predict r t.csv --id nothing")
                .output()
                .unwrap()
                .stdout
        ),
        ""
    );
}

/// Advice is followed to the letter: a name with commas stands in quotation marks.
#[test]
fn names_with_commas_are_taken_as_they_are_advised() {
    let at = folder();
    let at = at.path();
    let row = |i: usize| {
        let cell = if i % 9 == 2 {
            String::new()
        } else {
            format!("k{}", i % 3)
        };
        format!("{cell},{},{}\n", i % 7, i % 2)
    };
    let rows: String = (0..40).map(row).collect();
    fs::write(at.join("t.csv"), format!("\"c, d\",x,y\n{rows}")).unwrap();
    let said = bad(at, "train t.csv --dry-run", 3);
    says(&said, &["--missing '\"c, d\"'=most-frequent"]);
    for option in [
        "--missing '\"c, d\"'=most-frequent",
        "--exclude '\"c, d\"'",
        "--missing '\"c, d\"'=drop",
    ] {
        let line = format!("'{TOOL}' train t.csv {option} --epochs 1 -q --plots false");
        let output = bash(at, &line);
        assert!(
            output.status.success(),
            "{option}: {}",
            text(&output.stderr)
        );
    }
    // The run's own file of options reads them back.
    let output = bash(
        at,
        &format!("'{TOOL}' train --resume runs/t-1 --epochs 2 -q"),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
}
