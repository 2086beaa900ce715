//! Data from files: what is read is what NumPy and others wrote, what is prepared is what scikit-learn would compute, and what
//! is wrong is an error that says where, what and what to do.

use std::path::{Path, PathBuf};

use wgrad::{
    Activation::*, Array, ClassMap, CsvOptions, DataFile, Dataset, Delimiter, Device, Element,
    Encoding, Error, Loss, Matrix, Missing, Mlp, OpenOptions, Preparation, PreparationOptions,
    Scaling, Sgd, Source, Standardizer, Storage, Stream, Table, TargetEncoding, Targets, Task,
    Trainer, Unseen,
};

use crate::common::refused;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/data")
        .join(name)
}

fn csv(text: &str) -> Result<Table, Error> {
    Table::from_bytes("t.csv", text, &CsvOptions::default())
}

fn table(text: &str) -> Table {
    csv(text).unwrap()
}

fn prepared(text: &str) -> Result<(Dataset, Preparation), Error> {
    prepared_by(text, &PreparationOptions::default())
}

fn prepared_by(text: &str, options: &PreparationOptions) -> Result<(Dataset, Preparation), Error> {
    let table = csv(text)?;
    let preparation = Preparation::fit(&table, options)?;
    Ok((preparation.apply(&table)?, preparation))
}

fn unscaled() -> PreparationOptions {
    PreparationOptions {
        scaling: Scaling::None,
        standardize_target: false,
        ..PreparationOptions::default()
    }
}

// Tables

#[test]
fn a_table_is_read_whatever_its_dress() {
    let plain = "a,b,c\n1,x,2\n3,y,4\n";
    let rows = [["1", "x", "2"], ["3", "y", "4"]];
    for text in [
        plain.to_string(),
        plain.replace(',', ";"),
        plain.replace(',', "\t"),
        plain.replace(',', "|"),
        plain.replace('\n', "\r\n"),
        plain.replace('\n', "\r"),
        plain.replace('\n', "\n\n"),
        format!("\u{feff}{plain}"),
        format!("\n\n{}", plain.trim_end()),
        "a, b ,c\n 1 ,x,2\n3,\"y\",\"4\"".to_string(),
    ] {
        let table = table(&text);
        assert_eq!((table.rows(), table.cols()), (2, 3), "{text:?}");
        assert_eq!(table.names().unwrap(), ["a", "b", "c"], "{text:?}");
        for (r, row) in rows.iter().enumerate() {
            assert_eq!(table.row(r).unwrap(), row, "{text:?}");
        }
    }
    // By name, TSV has tabs, even where commas would cut alike.
    let options = OpenOptions::default();
    let file = DataFile::from_bytes("a.tsv", "a,b\tc\n1,2\t3\n", &options).unwrap();
    let tabs = file.inputs().table().unwrap();
    assert_eq!(tabs.row(0).unwrap(), ["1,2", "3"]);
}

#[test]
fn headers_and_delimiters_are_guessed_or_stated() {
    let headers = |text: &str| table(text).names().map(<[String]>::to_vec);
    assert_eq!(headers("1,2\n3,4\n"), None);
    // Names over numbers are a header, whatever else is in it.
    assert_eq!(headers("a,2\n3,4\n").unwrap(), ["a", "2"]);
    assert_eq!(headers("a,\n3,4\n").unwrap(), ["a", "column 1"]);
    refused!(csv("a,a\n3,4\n"), Error::Line { .. }, ["both \"a\""]);
    assert!(headers("a,b\n3,4\n").is_some());
    let with = |header, text: &str| {
        let options = CsvOptions {
            header: Some(header),
            ..CsvOptions::default()
        };
        Table::from_bytes("t.csv", text, &options).unwrap()
    };
    assert_eq!(
        with(true, "2019,2020\n3,4\n").names().unwrap(),
        ["2019", "2020"]
    );
    assert_eq!(
        with(true, "2019,\n3,4\n").names().unwrap(),
        ["2019", "column 1"]
    );
    assert_eq!(with(false, "a,b\nc,d\n").rows(), 2);
    // A comma in values does not win over semicolons that cut all lines alike; ragged lines go by the first.
    assert_eq!(
        table("a;b;c\n1,5;2;3\n1;2,5;3,25\n").delimiter(),
        Delimiter::Char(';')
    );
    assert_eq!(table("x\n1\n2\n").delimiter(), Delimiter::Char(','));
    refused!(
        csv("a;b\n1;2\n1;2;3\n"),
        Error::Line { .. },
        ["t.csv, line 3", "3 values", "line 1 has 2"]
    );
    let custom = CsvOptions {
        delimiter: Some('#'.into()),
        quote: Some('\''),
        ..CsvOptions::default()
    };
    let custom = Table::from_bytes("t.csv", "a#b\n'1#\n2'#3\n", &custom).unwrap();
    assert_eq!(custom.row(0).unwrap(), ["1#\n2", "3"]);
    let unquoted = CsvOptions {
        quote: None,
        ..CsvOptions::default()
    };
    let unquoted = Table::from_bytes("t.csv", "a,b\n\"1,2\n", &unquoted).unwrap();
    assert_eq!(unquoted.row(0).unwrap(), ["\"1", "2"]);
    for (bad, name) in [('é', "delimiter"), ('\n', "delimiter"), ('"', "delimiter")] {
        let options = CsvOptions {
            delimiter: Some(Delimiter::Char(bad)),
            ..CsvOptions::default()
        };
        refused!(
            Table::from_bytes("t.csv", "a", &options),
            Error::Argument { .. },
            [name]
        );
    }
}

/// What the guesses say of a table: what was guessed, what was found.
fn guesses(table: &Table) -> Vec<(&str, &str)> {
    let guesses = table.guesses().iter();
    guesses
        .map(|guess| (guess.what.as_str(), guess.found.as_str()))
        .collect()
}

#[test]
fn the_delimiter_is_what_makes_sense_of_all_lines() {
    let cut = |text: &str| table(text).delimiter().to_string();
    // Decimal commas cut every line alike, too.
    assert_eq!(cut("1,5;2,25;cold\n3,5;1,25;warm\n"), ";");
    assert_eq!(cut("30,20;warm\n7,22;cold\n"), ";");
    assert_eq!(cut("Doe, John;5\nSmith, Ann;7\n"), ";");
    assert_eq!(cut("a,b\n\"1;2\",3\n\"4;5\",6\n"), ",");
    // A line far down is looked at, too.
    let mut text = "1,2;3\n".repeat(400);
    text += "1;2\n";
    assert_eq!(cut(&text), ";");
    // Aligned columns.
    let aligned = "   0.3459  116   cold\n  -0.9645   78   warm  \n\n -1.5267\t 249 cold\n";
    let aligned = table(aligned);
    assert_eq!(aligned.delimiter(), Delimiter::Whitespace);
    assert_eq!((aligned.rows(), aligned.cols()), (3, 3));
    assert_eq!(aligned.row(2).unwrap(), ["-1.5267", "249", "cold"]);
    let quoted = table("name x\n\"New York\" 1,5\n'Bonn\"  \"2\"\n");
    assert_eq!(quoted.row(0).unwrap(), ["New York", "1,5"]);
    assert_eq!(quoted.row(1).unwrap(), ["'Bonn\"", "2"]);
    assert_eq!(cut("7 1,5\n8 2,5\n"), "whitespace");
    assert_eq!(cut("1.5, 2.5\n3.5, 4.5\n"), ",");
    // Words are no columns.
    assert_eq!(table("good day\nbad day\n").cols(), 1);
    refused!(
        csv("a b c\n1 2 3\n4 5\n").and_then(|t| Table::from_bytes(
            "t.csv",
            "a b c\n1 2 3\n4 5\n",
            &CsvOptions {
                delimiter: Some(Delimiter::Whitespace),
                ..CsvOptions::default()
            }
        )
        .map(|_| t)),
        Error::Line { .. },
        ["line 3", "has 2 values", "white space"]
    );
    // As it is said.
    for (said, delimiter) in [
        ("\\t", Delimiter::Char('\t')),
        ("\t", Delimiter::Char('\t')),
        ("tab", Delimiter::Char('\t')),
        ("TAB", Delimiter::Char('\t')),
        (";", Delimiter::Char(';')),
        ("comma", Delimiter::Char(',')),
        ("semicolon", Delimiter::Char(';')),
        ("pipe", Delimiter::Char('|')),
        ("space", Delimiter::Whitespace),
        ("whitespace", Delimiter::Whitespace),
        (" ", Delimiter::Whitespace),
    ] {
        let parsed: Delimiter = said.parse().unwrap();
        assert_eq!(parsed, delimiter, "{said:?}");
        assert_eq!(parsed.to_string().parse::<Delimiter>().unwrap(), parsed);
        let json = serde_json::to_string(&parsed).unwrap();
        assert_eq!(serde_json::from_str::<Delimiter>(&json).unwrap(), parsed);
    }
    for bad in ["", "é", "::", "colons"] {
        refused!(
            bad.parse::<Delimiter>(),
            Error::Argument { .. },
            ["delimiter", "whitespace"]
        );
    }
    // Options that were stored when the delimiter was a character.
    let old: CsvOptions =
        serde_json::from_str(r#"{"delimiter":"\t","header":true,"quote":"\"","missing":["-"]}"#)
            .unwrap();
    assert_eq!(old.delimiter, Some(Delimiter::Char('\t')));
    assert_eq!((old.decimal, old.thousands), (None, None));
}

#[test]
fn lines_of_white_space_are_empty() {
    let blank = table("a,b,y\n1,2,p\n   \n3,4,q\n\n \t \n   ");
    assert_eq!(blank.rows(), 2);
    assert_eq!(blank.row(1).unwrap(), ["3", "4", "q"]);
    let one = table("x\n1\n  \n2\n\t\n");
    assert_eq!(one.rows(), 2);
    // Nothing in quotation marks is a value; values that are all missing are a row, though a tab between them is white space.
    assert_eq!(table("x\n1\n\"\"\n2\n").rows(), 3);
    let tabs = table("a\tb\n1\t2\n\t\n3\t4\n \n\t\t\t\n");
    assert_eq!(tabs.rows(), 3);
    assert_eq!(tabs.row(1).unwrap(), ["", ""]);
    assert_eq!(tabs.row(2).unwrap(), ["3", "4"]);
    refused!(csv(" \n\t\n"), Error::File { .. }, ["is empty"]);
    // Lines are counted as an editor does.
    refused!(
        csv("a,b\n  \n1,2\n \n3\n"),
        Error::Line { .. },
        ["line 5", "has 1 values"]
    );
}

/// Twelve rows, of which the values come again.
fn repeated(header: &str, row: impl Fn(usize) -> String) -> String {
    let rows = (0..12).map(|i| row(i) + "\n");
    format!("{header}\n{}", rows.collect::<String>())
}

#[test]
fn the_header_is_guessed_from_all_that_stands_below() {
    let names = |text: &str| csv(text).map(|table| table.names().map(<[String]>::to_vec));
    let label = |i: usize| ["up", "down"][i % 2];
    let fraction = |i: usize| format!("{}.{}", i, (i * 7) % 10);
    // Numbers that count columns.
    let counted = repeated("0,1,2,label", |i| {
        let x = fraction(i);
        format!("{x},{x},{x},{}", label(i))
    });
    let found = names(&counted).unwrap().unwrap();
    assert_eq!(found, ["0", "1", "2", "label"]);
    let years = repeated("region,2019,2020,2021,trend", |i| {
        let x = fraction(i);
        format!("south,{x},{x},{x},{}", label(i))
    });
    assert_eq!(table(&years).rows(), 12);
    let whole = repeated("region,2019,2020,2021,trend", |i| {
        format!("south,{i},{},{},{}", i * i, i + 9, label(i))
    });
    assert_eq!(table(&whole).rows(), 12);
    let one = repeated("0,label", |i| format!("{},{}", fraction(i), label(i)));
    assert_eq!(table(&one).rows(), 12);
    // Numbers as they stand below are data, whatever single word is among them.
    let data = repeated("3,4,5,up", |i| {
        format!("{i},{},{},{}", i + 1, i + 2, label(i))
    });
    assert_eq!(names(&data).unwrap(), None);
    let digits: String = (0..30)
        .map(|i| format!("{},{},{}\n", i % 7, i % 3, i % 2))
        .collect();
    assert_eq!(names(&digits).unwrap(), None);
    let typo = repeated("1.5,2.5,3.5,4.5,O.5,6.5", |i| {
        vec![fraction(i); 6].join(",")
    });
    assert_eq!(names(&typo).unwrap(), None);
    // Text alone: what comes again below is no name.
    let colours = |i: usize| {
        format!(
            "{},{},{}",
            ["red", "blue"][i % 2],
            ["S", "M", "L"][i % 3],
            label(i)
        )
    };
    assert_eq!(table(&repeated("colour,size,label", colours)).rows(), 12);
    assert_eq!(names(&repeated("red,L,up", colours)).unwrap(), None);
    // One value may be rare.
    assert_eq!(names(&repeated("red,XL,up", colours)).unwrap(), None);
    refused!(
        names(&repeated("label,size,label", colours)),
        Error::Line { .. },
        [
            "line 1",
            "column 0 and column 2",
            "both \"label\"",
            "no header"
        ]
    );
    // The first column of pandas has no name.
    let index = repeated(",a,b", |i| format!("{i},{},{}", fraction(i), label(i)));
    assert_eq!(names(&index).unwrap().unwrap(), ["column 0", "a", "b"]);
    // What is said is not guessed.
    let said = CsvOptions {
        header: Some(false),
        ..CsvOptions::default()
    };
    let said = Table::from_bytes("t.csv", counted.as_bytes(), &said).unwrap();
    assert_eq!((said.rows(), guesses(&said)[1].0), (13, "decimal mark"));
    // Why.
    let evidence = |text: &str| {
        let table = table(text);
        let guess = table.guesses().iter().find(|guess| guess.what == "header");
        let guess = guess.unwrap();
        format!("{}: {}", guess.found, guess.evidence)
    };
    assert_eq!(
        evidence("a,b\n1,2\n"),
        "yes: it has names over columns of numbers"
    );
    assert_eq!(
        evidence(&repeated("red,L,up", colours)),
        "no: its values come again below"
    );
    assert_eq!(evidence(&data), "no: its values come again below");
    assert_eq!(
        evidence("1,5\n3,4\n"),
        "no: it has numbers over columns of numbers"
    );
    assert_eq!(evidence("1,2\n3,4\n"), "no: nothing speaks for it");
    assert_eq!(evidence("a,b\nc,d\n"), "yes: it has names that differ");
    // Numbers that are counted, over whole numbers of another size, or in the way of pandas.
    let counts = |first: &str, cols: i64| {
        let row = |r: i64| {
            let cells = (0..cols).map(|c| ((r * 7 + c * 3) % 5).to_string());
            cells.collect::<Vec<_>>().join(",")
        };
        let rows: Vec<String> = (0..20).map(row).collect();
        evidence(&format!("{first}\n{}\n", rows.join("\n")))
    };
    let yes = "yes: its numbers go on evenly, unlike those below";
    assert_eq!(counts("2019,2020,2021", 3), yes);
    assert_eq!(counts("0,1,2,3", 4), yes);
    assert_eq!(counts(",0,1,2,3", 5), yes);
    assert!(counts("0,1", 2).starts_with("no"));
    assert!(counts("2,3,4", 3).starts_with("no"));
}

#[test]
fn decimal_marks_and_thousands_are_guessed_from_the_whole_file() {
    let written = |text: &str| {
        let table = table(text);
        let read = table.read_as();
        let (decimal, thousands) = (read.decimal.unwrap(), read.thousands);
        // What was found reads the file so, too, with nothing left to be guessed.
        let again = Table::from_bytes("t.csv", text, &read).unwrap();
        assert_eq!(again.read_as(), read);
        assert_eq!(again.guesses(), []);
        assert_eq!(
            (again.rows(), again.cols(), again.names()),
            (table.rows(), table.cols(), table.names())
        );
        (decimal, thousands)
    };
    for (text, decimal, thousands) in [
        ("a;b\n1,5;x\n2;y\n", ',', None),
        ("30,20;76,32;warm\n7,22;62,70;cold\n", ',', None),
        ("a;b\n1,234;x\n0,125;y\n", ',', None),
        ("a;b\n1,234;1,5\n2,345;2,5\n", ',', None),
        ("a,b\n1.5,x\n2.25,y\n", '.', None),
        ("a,b\n1,2\n3,4\n", '.', None),
        ("a,b\n1.234,x\n5.678,y\n", '.', None),
        // Groups of three, where something else tells.
        ("a,b\n\"1,234,567\",x\n\"350,904\",y\n", '.', Some(',')),
        ("a,b\n\"1,234.50\",x\n\"350,904\",y\n", '.', Some(',')),
        (
            "a,b,c\n\"2,393\",4,\"350,904\"\n936,4,\"141,706\"\n",
            '.',
            Some(','),
        ),
        ("a,b\n\"350,904\",1.5\n\"141,706\",2.5\n", '.', Some(',')),
        ("a;b\n1.234,5;x\n17,25;y\n", ',', Some('.')),
        ("a;b\n1.234;1,5\n2.345;2,5\n", ',', Some('.')),
        ("a;b\n1.234.567;x\n2.345;y\n", ',', Some('.')),
        ("a;b\n1 234,5;x\n17,25;y\n", ',', Some(' ')),
        ("a;b\n1\u{202f}234;x\n17;y\n", '.', Some(' ')),
        ("a;b\n1'234.5;x\n17;y\n", '.', Some('\'')),
        // Text with commas says nothing of numbers.
        (
            "a,b\n1.5,\"Bonn, Rhein\"\n2.5,\"1,5 l\"\n3.5,\"1,5\"\n4.5,x\n5.5,y\n",
            '.',
            None,
        ),
        // One that is wrong does not change the column.
        ("a;b\n1,5;x\n2,25;y\n3.5;y\n", ',', None),
    ] {
        assert_eq!(written(text), (decimal, thousands), "{text:?}");
    }
    // What nothing tells is not guessed.
    let prices = "id,price\n1,\"350,904\"\n2,\"141,706\"\n";
    refused!(
        csv(prices),
        Error::Cell(_),
        [
            "t.csv, line 2, column \"price\": \"350,904\"",
            "350904",
            "350.904",
            "thousands separator",
            "decimal mark"
        ]
    );
    for (decimal, thousands, read) in [
        (None, Some(','), ('.', Some(','))),
        (Some(','), None, (',', None)),
        (None, Some(' '), (',', Some(' '))),
    ] {
        let options = CsvOptions {
            decimal,
            thousands,
            ..CsvOptions::default()
        };
        let table = Table::from_bytes("t.csv", prices, &options).unwrap();
        let found = table.read_as();
        assert_eq!((found.decimal.unwrap(), found.thousands), read);
    }
    refused!(
        csv("a;b\n1,5;1.5\n2,5;2.5\n"),
        Error::File { .. },
        [
            "column \"a\" has \"1,5\" in line 2",
            "column \"b\" has \"1.5\" in line 2",
            "decimal mark"
        ]
    );
    // Without a header the first line counts, too.
    assert_eq!(written("1,5;x\n2;x\n"), (',', None));
    let evidence = table("t;b\n7;x\n1,5;y\n");
    let guess = &evidence.guesses()[2];
    assert_eq!(
        (
            guess.what.as_str(),
            guess.found.as_str(),
            guess.evidence.as_str()
        ),
        ("decimal mark", ",", "column \"t\" has \"1,5\" in line 3")
    );
    assert_eq!(
        guesses(&evidence),
        [("delimiter", ";"), ("header", "yes"), ("decimal mark", ",")]
    );
    for (decimal, thousands) in [
        (Some('x'), None),
        (None, Some('x')),
        (Some(','), Some(',')),
        (Some('.'), Some('.')),
    ] {
        let options = CsvOptions {
            decimal,
            thousands,
            ..CsvOptions::default()
        };
        refused!(
            Table::from_bytes("t.csv", "a\n1\n", &options),
            Error::Argument { .. },
            ["must be"]
        );
    }
}

/// Rows are found through an index of every 64th; quoted newlines and empty lines lie between.
#[test]
fn rows_and_lines_are_found_in_long_tables() {
    let mut text = String::from("a,b,label\n");
    let mut lines = Vec::new();
    let mut line = 2;
    for r in 0..1000 {
        if r % 7 == 3 {
            text += "\r\n\n";
            line += 2;
        }
        lines.push(line);
        text += &format!(
            "{r},\"{}\",{}\n",
            if r % 5 == 0 { "x\n\ny" } else { "z" },
            r % 2
        );
        line += if r % 5 == 0 { 3 } else { 1 };
    }
    let table = table(&text);
    assert_eq!(table.rows(), 1000);
    for r in [0, 1, 63, 64, 65, 500, 999] {
        assert_eq!(table.row(r).unwrap()[0], r.to_string());
    }
    let editor: Vec<&str> = text.split('\n').collect();
    for r in [3, 63, 64, 65, 130, 998] {
        let from = editor[lines[r] - 1];
        assert!(
            from.starts_with(&format!("{r},")),
            "line {} is {from:?}",
            lines[r]
        );
        let broken = text.replacen(&format!("\n{r},"), &format!("\n{r}!,"), 1);
        refused!(
            prepared(&broken),
            Error::Cell(_),
            [
                format!("t.csv, line {}, column \"a\": \"{r}!\"", lines[r]),
                "999 of the column's 1000 values",
                "correct it"
            ]
        );
    }
    refused!(
        table.row(1000),
        Error::Argument { .. },
        ["1000", "below 1000"]
    );
}

#[test]
fn what_is_wrong_with_a_table_is_said_with_its_place() {
    refused!(
        csv("a,b\n1,2\n3\n"),
        Error::Line { .. },
        [
            "t.csv, line 3",
            "has 1 values",
            "line 1 has 2",
            "quotation marks"
        ]
    );
    refused!(
        csv("a,b\n1,\"2\n3,4\n5,6\n"),
        Error::Line { .. },
        ["line 2", "quotation mark", "never"]
    );
    refused!(
        csv("a,b\n1,2\n3,\"4"),
        Error::Line { .. },
        ["line 3", "never closed", "double it"]
    );
    refused!(
        csv("a,b,c\n1,\"2,3\n4,5,\"6\n"),
        Error::Line { .. },
        ["line 2", "1 lines further down"]
    );
    refused!(
        csv(""),
        Error::File { .. },
        ["t.csv", "is empty", "line for each sample"]
    );
    refused!(csv("\n\n"), Error::File { .. }, ["t.csv", "is empty"]);
    refused!(
        csv("a,b\n"),
        Error::EmptyData { .. },
        ["t.csv", "header only", "at least 1"]
    );
    refused!(
        csv("a,b,a\nx,1,2\n").and_then(|t| Table::from_bytes(
            "t.csv",
            "a,b,a\n1,2,3\n",
            &CsvOptions {
                header: Some(true),
                ..CsvOptions::default()
            }
        )
        .map(|_| t)),
        Error::Line { .. },
        [
            "line 1",
            "column 0 and column 2",
            "\"a\"",
            "name of its own"
        ]
    );
    let latin = Table::from_bytes(
        "t.csv",
        b"a,b\n1,caf\xe9\n".to_vec(),
        &CsvOptions::default(),
    );
    refused!(
        latin,
        Error::Cell(_),
        ["t.csv, line 2, column \"b\"", "caf", "UTF-8", "save"]
    );
    let utf16 = Table::from_bytes(
        "t.csv",
        b"\xff\xfea\0,\0b\0".to_vec(),
        &CsvOptions::default(),
    );
    refused!(utf16, Error::File { .. }, ["UTF-16", "save it as UTF-8"]);
    refused!(
        Table::open("no/such.csv", &CsvOptions::default()),
        Error::File { .. },
        ["no/such.csv", "cannot be read", "path"]
    );
    refused!(
        Table::open(path(""), &CsvOptions::default()),
        Error::File { .. },
        ["is a folder"]
    );
    let flowers = table("sepal,petal,species\n1,2,a\n3,4,b\n");
    refused!(
        flowers.column(&"speceis".into()),
        Error::UnknownColumn { .. },
        [
            "t.csv has no column \"speceis\" (did you mean \"species\"?)",
            "sepal, petal, species"
        ]
    );
    refused!(
        flowers.column(&"qqq".into()),
        Error::UnknownColumn { nearest: None, .. },
        ["\"qqq\""]
    );
    refused!(
        flowers.column(&3.into()),
        Error::UnknownColumn { .. },
        ["column 3 (from 0)", "sepal"]
    );
    refused!(
        table("1,2\n").column(&"x".into()),
        Error::UnknownColumn { .. },
        ["no header", "0 to 1"]
    );
    assert_eq!(flowers.column(&"petal".into()).unwrap(), 1);
    assert_eq!(flowers.column(&"2".into()).unwrap(), 2);
}

// Preparation

#[test]
fn text_in_a_column_of_numbers_is_refused_with_its_place() {
    // Mostly numbers.
    refused!(
        prepared("a,b\n1,x\n2,y\n3O,x\n"),
        Error::Cell(_),
        [
            "t.csv, line 4, column \"a\": \"3O\" is no number",
            "2 of the column's 3 values",
            "categorical",
            "missing"
        ]
    );
    refused!(
        prepared("a;b\n1,5;x\n2;y\n3;x\n4.5;x\n5.5;y\n"),
        Error::Cell(_),
        ["line 2", "\"1,5\"", "the decimal mark is a comma"]
    );
    // A header that was taken for data.
    let options = CsvOptions {
        header: Some(false),
        ..CsvOptions::default()
    };
    let headed = Table::from_bytes("t.csv", "a,b\n1,x\n2,y\n", &options).unwrap();
    refused!(
        Preparation::fit(&headed, &PreparationOptions::default()),
        Error::Cell(_),
        [
            "line 1, column 0 (from 0)",
            "\"a\"",
            "first line is a header"
        ]
    );
    // Stated.
    let numeric = PreparationOptions {
        numeric: vec!["a".into()],
        ..PreparationOptions::default()
    };
    refused!(
        prepared_by("a,b\nx,p\ny,q\n1,p\n", &numeric),
        Error::Cell(_),
        ["line 2", "\"x\"", "said to be numeric"]
    );
    // Half or less: categories.
    let (data, preparation) = prepared("a,b\n1,x\n2,y\nq,x\nr,y\n").unwrap();
    assert_eq!(preparation.input_names(), ["a=1", "a=2", "a=q", "a=r"]);
    assert_eq!(data.inputs().row(2), [0.0, 0.0, 1.0, 0.0]);
    // Not finite, by itself or as an f32.
    for bad in ["inf", "-Infinity", "1e999"] {
        refused!(
            prepared(&format!("a,b\n1,x\n2,y\n{bad},x\n")),
            Error::Cell(_),
            [
                "t.csv, line 4, column \"a\"",
                bad,
                "is not finite",
                "correct it"
            ]
        );
    }
    // NaN is missing, or not finite where that is no missing value.
    refused!(
        prepared("a,b\n1,x\nNaN,y\n"),
        Error::Cell(_),
        ["line 3", "\"NaN\" is missing", "fill it in", "median"]
    );
    let strict = CsvOptions {
        missing: vec![],
        ..CsvOptions::default()
    };
    let strict = Table::from_bytes("t.csv", "a,b\n1,x\nNaN,y\n", &strict).unwrap();
    refused!(
        Preparation::fit(&strict, &PreparationOptions::default()),
        Error::Cell(_),
        ["line 3", "NaN", "not finite"]
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    let text = "a,b,c\n1,2,x\n3,4,y\n";
    let with = |change: &dyn Fn(&mut PreparationOptions)| {
        let mut options = PreparationOptions::default();
        change(&mut options);
        prepared_by(text, &options)
    };
    refused!(
        with(&|o| o.targets = vec!["d".into()]),
        Error::UnknownColumn { .. },
        ["\"d\"", "a, b, c"]
    );
    refused!(
        with(&|o| o.exclude = vec!["z".into()]),
        Error::UnknownColumn { .. },
        ["\"z\""]
    );
    refused!(
        with(&|o| {
            o.numeric = vec!["a".into()];
            o.categorical = vec![0.into()];
        }),
        Error::Argument { .. },
        ["column \"a\"", "numeric and to be categorical"]
    );
    refused!(
        with(&|o| o.exclude = vec!["c".into()]),
        Error::Argument { .. },
        ["\"c\"", "left out"]
    );
    refused!(
        with(&|o| o.exclude = vec!["a".into(), "b".into()]),
        Error::File { .. },
        ["no column left", "delimiter"]
    );
    refused!(
        with(&|o| o.targets = vec!["a".into(), "a".into()]),
        Error::Argument { .. },
        ["a target twice"]
    );
    refused!(
        with(&|o| {
            o.targets = vec!["a".into(), "b".into()];
            o.task = Task::Classification;
        }),
        Error::Argument { .. },
        ["number of targets", "1 for classification"]
    );
    refused!(
        with(&|o| o.task = Task::Regression),
        Error::Cell(_),
        ["line 2, column \"c\"", "\"x\" is no number"]
    );
    refused!(
        with(&|o| {
            o.task = Task::Regression;
            o.categorical = vec!["c".into()];
        }),
        Error::Argument { .. },
        ["column \"c\"", "a target of values"]
    );
    refused!(
        prepared("a,b\n1,x\n2,x\n"),
        Error::OneClass { .. },
        ["t.csv, column \"b\"", "all 2 rows", "\"x\"", "two classes"]
    );
    refused!(
        prepared("a,b,c\n1,,x\n2,NA,y\n"),
        Error::Column { .. },
        ["t.csv, column \"b\"", "no values"]
    );
    let few = PreparationOptions {
        max_categories: 2,
        ..PreparationOptions::default()
    };
    refused!(
        prepared_by("id,b\np,x\nq,y\nr,x\n", &few),
        Error::Column { .. },
        [
            "t.csv, column \"id\": it has 3 categories, and at most 2 are allowed",
            "leave that column out"
        ]
    );
}

#[test]
fn inputs_are_standardised_and_encoded() {
    // Against scikit-learn's StandardScaler and OneHotEncoder: 2, 4, 9 have mean 5 and deviation √(26/3).
    let (data, preparation) = prepared("n,c,k,label\n2,b,7,no\n4,a,7,yes\n9,b,7,no\n").unwrap();
    let std = (26.0_f64 / 3.0).sqrt();
    let z = |x: f64| ((x - 5.0) / std) as f32;
    assert_eq!(
        data.inputs().data(),
        [
            z(2.0),
            0.0,
            1.0,
            0.0,
            z(4.0),
            1.0,
            0.0,
            0.0,
            z(9.0),
            0.0,
            1.0,
            0.0,
        ]
    );
    assert_eq!(preparation.input_names(), ["n", "c=a", "c=b", "k"]);
    assert_eq!(preparation.constant_columns()[0].name.as_deref(), Some("k"));
    assert_eq!(data.targets(), &Targets::Classes(vec![0, 1, 0]));
    assert_eq!(preparation.classes().unwrap().names(), ["no", "yes"]);
    assert_eq!(
        (preparation.input_width(), preparation.output_width()),
        (4, 2)
    );
    assert_eq!(
        preparation.to_string(),
        "2 column(s) of numbers, scaled (1 constant: k); 1 column(s) of categories, as 2 inputs; \
         target column \"label\": 2 classes (no, yes)"
    );
    // A large mean does not hide a small deviation, as it would in f32.
    let (times, _) = prepared("t,y\n1700000000,a\n1700000001,b\n1700000002,a\n").unwrap();
    let z = 1.5_f64.sqrt() as f32;
    assert_eq!(times.inputs().data(), [-z, 0.0, z]);
}

#[test]
fn targets_are_classes_or_values() {
    let kind = |text: &str, options: &PreparationOptions| {
        prepared_by(text, options).unwrap().0.targets().clone()
    };
    let auto = PreparationOptions {
        standardize_target: false,
        ..PreparationOptions::default()
    };
    let values = |v: &[f32]| Targets::Values(Matrix::new(1, v.to_vec()).unwrap());
    // Few whole numbers are classes; fractions, and as many as rows, are values.
    assert_eq!(
        kind("a,y\n1,3\n2,7\n3,3\n4,7\n", &auto),
        Targets::Classes(vec![0, 1, 0, 1])
    );
    assert_eq!(
        kind("a,y\n1,3\n2,7\n3,3\n4,7.5\n", &auto),
        values(&[3.0, 7.0, 3.0, 7.5])
    );
    assert_eq!(
        kind("a,y\n1,3\n2,7\n3,4\n4,8\n", &auto),
        values(&[3.0, 7.0, 4.0, 8.0])
    );
    let said = PreparationOptions {
        task: Task::Classification,
        ..auto.clone()
    };
    assert_eq!(
        kind("a,y\n1,10\n2,9\n3,8\n", &said),
        Targets::Classes(vec![2, 1, 0])
    );
    let said = PreparationOptions {
        task: Task::Regression,
        ..auto.clone()
    };
    assert_eq!(
        kind("a,y\n1,3\n2,7\n3,3\n4,7\n", &said),
        values(&[3.0, 7.0, 3.0, 7.0])
    );
    // Several, anywhere, by name or number.
    let two = PreparationOptions {
        targets: vec!["y".into(), 0.into()],
        ..auto.clone()
    };
    let (data, _) = prepared_by("z,a,y\n1,5,2\n3,6,4\n", &two).unwrap();
    assert_eq!(
        data.targets(),
        &Targets::Values(Matrix::new(2, vec![2.0, 1.0, 4.0, 3.0]).unwrap())
    );
    assert_eq!(data.inputs().cols(), 1);
    // Standardised, and back.
    let (data, preparation) = prepared("a,y\n1,10.5\n2,20.5\n3,60.5\n").unwrap();
    let Targets::Values(scaled) = data.targets() else {
        panic!("classes")
    };
    let mean: f32 = scaled.data().iter().sum::<f32>() / 3.0;
    assert!(mean.abs() < 1e-6);
    let back = preparation.inverse_target(scaled).unwrap();
    for (back, t) in back.data().iter().zip([10.5, 20.5, 60.5]) {
        // y·σ + μ of a y rounded to f32, whose |y| < 2 and σ < 22; rounded once more.
        assert!(
            (back - t).abs() <= 22.0 * 2.0 * 6e-8 + 61.0 * 6e-8,
            "{back} {t}"
        );
    }
    let (_, classes) = prepared("a,y\n1,p\n2,q\n").unwrap();
    refused!(
        classes.inverse_target(scaled),
        Error::Targets { .. },
        ["values", "2 classes"]
    );
}

#[test]
fn missing_values_go_by_the_rule() {
    let text = "n,c,y\n1,a,p\n,b,q\n4,?,p\n4,b,q\n7,b,p\nNA,a,q\n";
    refused!(
        prepared(text),
        Error::Cell(_),
        ["line 3, column \"n\": \"\" is missing", "constant"]
    );
    let by = |missing: Missing| {
        prepared_by(
            text,
            &PreparationOptions {
                missing,
                ..unscaled()
            },
        )
    };
    let numbers = |missing| {
        let (data, _) = by(missing).unwrap();
        (0..data.rows())
            .map(|r| data.inputs().row(r)[0])
            .collect::<Vec<_>>()
    };
    assert_eq!(numbers(Missing::Drop), [1.0, 4.0, 7.0]);
    assert_eq!(numbers(Missing::Mean), [1.0, 4.0, 4.0, 4.0, 7.0, 4.0]);
    assert_eq!(numbers(Missing::Median), [1.0, 4.0, 4.0, 4.0, 7.0, 4.0]);
    assert_eq!(
        numbers(Missing::MostFrequent),
        [1.0, 4.0, 4.0, 4.0, 7.0, 4.0]
    );
    // A category gets the most frequent one; a constant is one more.
    let (data, _) = by(Missing::Mean).unwrap();
    assert_eq!(data.inputs().row(2)[1..], [0.0, 1.0]);
    refused!(
        by(Missing::Constant("none".into())),
        Error::Argument { .. },
        ["column \"n\"", "\"none\"", "number"]
    );
    let (data, preparation) = by(Missing::Constant("-1".into())).unwrap();
    assert_eq!(preparation.input_names(), ["n", "c=-1", "c=a", "c=b"]);
    assert_eq!(data.inputs().row(1), [-1.0, 0.0, 0.0, 1.0]);
    assert_eq!(data.inputs().row(2), [4.0, 1.0, 0.0, 0.0]);
    // Mean, median and most frequent are not each other.
    let skew = "n,y\n1,p\n1,q\n2,p\n3,q\n13,p\n,q\n";
    let filled = |missing| {
        let options = PreparationOptions {
            missing,
            ..unscaled()
        };
        prepared_by(skew, &options).unwrap().0.inputs().row(5)[0]
    };
    assert_eq!(
        [Missing::Mean, Missing::Median, Missing::MostFrequent].map(filled),
        [4.0, 2.0, 1.0]
    );
    let even = prepared_by(
        "n,y\n1,p\n2,q\n4,p\n9,q\n,p\n",
        &PreparationOptions {
            missing: Missing::Median,
            ..unscaled()
        },
    );
    assert_eq!(even.unwrap().0.inputs().row(4), [3.0]);
    // What fills in takes no part in mean and deviation, and serves new data.
    let options = PreparationOptions {
        missing: Missing::Mean,
        ..PreparationOptions::default()
    };
    let (data, preparation) = prepared_by("n,y\n1,p\n3,q\n,p\n", &options).unwrap();
    assert_eq!(data.inputs().data(), [-1.0, 1.0, 0.0]);
    assert_eq!(
        preparation
            .apply_inputs(&table("n,y\n,p\n5,q\n"))
            .unwrap()
            .data(),
        [0.0, 3.0]
    );
    // A target must be there, unless its row goes.
    let target = "n,y\n1,p\n2,\n3,q\n";
    refused!(
        prepared_by(target, &options),
        Error::Cell(_),
        ["line 3, column \"y\"", "shall be learnt"]
    );
    let drop = PreparationOptions {
        missing: Missing::Drop,
        ..unscaled()
    };
    let (data, preparation) = prepared_by(target, &drop).unwrap();
    assert_eq!(data.rows(), 2);
    // Predictions belong to rows: none is dropped.
    refused!(
        preparation.apply_inputs(&table("n,y\n1,p\n,q\n")),
        Error::Cell(_),
        ["line 3, column \"n\"", "missing"]
    );
    refused!(
        prepared_by("n,y\n,p\n2,\n", &drop),
        Error::EmptyData { .. },
        ["without its rows that miss"]
    );
    // Words of one's own.
    let words = CsvOptions {
        missing: vec!["-".into()],
        ..CsvOptions::default()
    };
    let words = Table::from_bytes("t.csv", "n,y\n1,p\n-,q\n", &words).unwrap();
    let preparation = Preparation::fit(&words, &options).unwrap();
    assert_eq!(preparation.csv_options().missing, ["-"]);
}

#[test]
fn new_data_goes_the_fitted_way() {
    let (_, preparation) = prepared("n,c,y\n1,a,p\n3,b,q\n").unwrap();
    let apply = |text: &str| preparation.apply(&table(text));
    let inputs = |text: &str| preparation.apply_inputs(&table(text));
    // Columns by name, in any order, with others between; the target may be absent.
    let moved = apply("y,extra,c,n\nq,0,a,5\np,0,b,1\n").unwrap();
    assert_eq!(moved.inputs().data(), [3.0, 1.0, 0.0, -1.0, 0.0, 1.0]);
    assert_eq!(moved.targets(), &Targets::Classes(vec![1, 0]));
    assert_eq!(inputs("c,n\na,5\n").unwrap().data(), [3.0, 1.0, 0.0]);
    refused!(
        apply("c,n\na,5\n"),
        Error::UnknownColumn { .. },
        ["no column \"y\"", "c, n"]
    );
    refused!(
        inputs("c,m\na,5\n"),
        Error::UnknownColumn { .. },
        ["no column \"n\"", "c, m"]
    );
    // Without a header, by place.
    let headless = CsvOptions {
        header: Some(false),
        ..CsvOptions::default()
    };
    let headless = |text: &str| Table::from_bytes("t.csv", text, &headless).unwrap();
    assert_eq!(
        preparation
            .apply(&headless("5,a,q\n"))
            .unwrap()
            .inputs()
            .data(),
        [3.0, 1.0, 0.0]
    );
    assert_eq!(
        preparation.apply_inputs(&headless("5,a\n")).unwrap().data(),
        [3.0, 1.0, 0.0]
    );
    refused!(
        preparation.apply(&headless("5,a\n")),
        Error::Shape { .. },
        ["t.csv", "2 columns", "3 columns"]
    );
    refused!(
        preparation.apply_inputs(&headless("5\n")),
        Error::Shape { .. },
        ["1 columns", "or 2 without the targets"]
    );
    // What the training data did not have.
    refused!(
        inputs("n,c\n1,d\n"),
        Error::Cell(_),
        [
            "t.csv, line 2, column \"c\": \"d\" is a category",
            "known are a, b",
            "zeros"
        ]
    );
    refused!(
        apply("n,c,y\n1,a,p\n1,b,r\n"),
        Error::Cell(_),
        [
            "t.csv, line 3, column \"y\": \"r\" is a class that the model has not seen",
            "known are p, q",
            "train with it"
        ]
    );
    refused!(
        inputs("n,c\nx,a\n"),
        Error::Cell(_),
        ["line 2, column \"n\": \"x\" is no number"]
    );
    refused!(
        apply("n,c,y\n1,a,\n"),
        Error::Cell(_),
        ["line 2, column \"y\"", "missing"]
    );
    let zeros = PreparationOptions {
        unseen: Unseen::Zeros,
        ..PreparationOptions::default()
    };
    let (_, zeros) = prepared_by("n,c,y\n1,a,p\n3,b,q\n", &zeros).unwrap();
    assert_eq!(
        zeros.apply_inputs(&table("n,c\n1,d\n")).unwrap().data(),
        [-1.0, 0.0, 0.0]
    );
    // Categories that look like numbers this time, and classes written another way.
    let (_, rooms) = prepared("rooms,y\n1,1\n2,0\n3+,1\n4+,0\n").unwrap();
    assert_eq!(
        rooms.apply_inputs(&table("rooms\n2\n")).unwrap().data(),
        [0.0, 1.0, 0.0, 0.0]
    );
    let written = rooms.apply(&table("rooms,y\n2,1.0\n1,-0\n")).unwrap();
    assert_eq!(written.targets(), &Targets::Classes(vec![1, 0]));
    // Through a model file.
    for preparation in [&preparation, &zeros, &rooms] {
        let json = serde_json::to_string(preparation).unwrap();
        let back: Preparation = serde_json::from_str(&json).unwrap();
        assert_eq!(&back, preparation);
    }
}

/// Numbers pass through a file to the bit; JSON's usual reader may be off by one.
#[test]
fn a_stored_preparation_is_the_same_to_the_bit() {
    let mut x = 0.1_f64;
    let mut standardizer = Standardizer::identity(0);
    for _ in 0..2000 {
        x = (x * 3.9 * (1.0 - x)).clamp(1e-3, 0.999);
        standardizer.shift.push(x * 1e5);
        standardizer.factor.push(1.0 / x);
    }
    let json = serde_json::to_string(&standardizer).unwrap();
    assert_eq!(
        serde_json::from_str::<Standardizer>(&json).unwrap(),
        standardizer
    );
}

#[test]
fn numbers_alone_are_prepared_too() {
    let x = Matrix::from_rows(&[[0.0, 7.0], [2.0, 7.0], [4.0, 7.0]]).unwrap();
    let data = Dataset::classes(x.clone(), vec![7, 3, 7]).unwrap();
    let preparation = Preparation::fit(&data, &PreparationOptions::default()).unwrap();
    let ready = preparation.apply(&data).unwrap();
    let z = 1.5_f64.sqrt() as f32;
    assert_eq!(ready.inputs().data(), [-z, 0.0, 0.0, 0.0, z, 0.0]);
    assert_eq!(ready.targets(), &Targets::Classes(vec![1, 0, 1]));
    assert_eq!(preparation.classes().unwrap().names(), ["3", "7"]);
    // Weights of rows go along, in parts too.
    let weighted = data.clone().with_weights(vec![1.0, 0.5, 2.0]).unwrap();
    let source = preparation.source(&weighted).unwrap();
    assert_eq!(source.read(1..3).unwrap().weights(), Some(&[0.5, 2.0][..]));
    let mut streamed = Stream::new(&source, 3, 3).unwrap();
    assert_eq!(
        streamed.next().unwrap().unwrap().weights(),
        weighted.weights()
    );
    let new = Matrix::from_rows(&[[2.0, 8.0]]).unwrap();
    // The second column was constant: whatever comes, it says nothing.
    assert_eq!(preparation.apply_inputs(&new).unwrap().data(), [0.0, 0.0]);
    // A table without a header serves, with its target last or without it.
    assert_eq!(
        preparation.apply_inputs(&table("2,8\n")).unwrap().data(),
        [0.0, 0.0]
    );
    let tabled = preparation.apply(&table("2,8,7\n")).unwrap();
    assert_eq!(tabled.targets(), &Targets::Classes(vec![1]));
    let unseen = Dataset::classes(x.clone(), vec![7, 3, 4]).unwrap();
    refused!(
        preparation.apply(&unseen),
        Error::Cell(_),
        [
            "the data set, row 2, column 2 (from 0): \"4\" is a class",
            "known are 3, 7"
        ]
    );
    let wide = Matrix::from_rows(&[[2.0, 8.0, 1.0]]).unwrap();
    refused!(
        preparation.apply_inputs(&wide),
        Error::Shape { .. },
        ["3 columns", "2 columns", "2 column(s) of numbers"]
    );
    let values = Dataset::values(x.clone(), Matrix::new(1, vec![1.0, 2.0, 3.0]).unwrap()).unwrap();
    refused!(
        preparation.apply(&values),
        Error::Targets { .. },
        ["2 classes", "values"]
    );
    let one = Dataset::classes(x.clone(), vec![2, 2, 2]).unwrap();
    refused!(
        Preparation::fit(&one, &PreparationOptions::default()),
        Error::OneClass { .. },
        ["\"2\"", "3 rows"]
    );
    let inputs = Preparation::fit(&x, &PreparationOptions::default()).unwrap();
    assert_eq!(inputs.target(), &TargetEncoding::None);
    refused!(inputs.apply(&data), Error::Targets { .. }, ["apply_inputs"]);
    // Of a table of text, a matrix cannot be.
    let (_, text) = prepared("c,y\na,p\nb,q\n").unwrap();
    refused!(
        text.apply_inputs(&new),
        Error::Shape { .. },
        ["2 columns of numbers", "categories"]
    );
}

#[test]
fn class_maps_and_standardizers_stand_alone() {
    let text = ClassMap::new(["10", "9", "9.0", "-1", "09"]).unwrap();
    assert_eq!(text.names(), ["-1", "9", "09", "9.0", "10"]);
    assert_eq!((text.index("9.0"), text.index("9.00")), (Some(3), None));
    let stored = serde_json::to_string(&text).unwrap();
    assert_eq!(serde_json::from_str::<ClassMap>(&stored).unwrap(), text);
    let map = ClassMap::numbers([("10", 1), ("9", 2), ("9.0", 1), ("-1", 1)]).unwrap();
    assert_eq!(map.names(), ["-1", "9", "10"]);
    assert_eq!(
        (
            map.index("1e1"),
            map.index("-1.0"),
            map.index("8"),
            map.index("x")
        ),
        (Some(2), Some(0), None, None)
    );
    assert_eq!(map.index_of_number(9.0), Some(1));
    let map = ClassMap::new(["10", "9", "x"]).unwrap();
    assert_eq!(map.names(), ["10", "9", "x"]);
    assert_eq!(
        (map.index("9"), map.index("9.0"), map.name(3)),
        (Some(1), None, None)
    );
    refused!(
        ClassMap::new(Vec::<String>::new()),
        Error::EmptyData { .. },
        ["classes"]
    );
    assert!(serde_json::from_str::<ClassMap>("[]").is_err());
    let twice = serde_json::from_str::<ClassMap>(r#"["a","a"]"#).unwrap_err();
    assert!(twice.to_string().contains("names that differ"));
    let s = Standardizer::fit(&Matrix::from_rows(&[[1.0], [2.0]]).unwrap()).unwrap();
    let wide = Matrix::from_rows(&[[1.0, 2.0]]).unwrap();
    refused!(
        s.apply(&wide),
        Error::Shape { .. },
        ["2 columns", "1 columns"]
    );
}

// Arrays

fn signed(r: usize, c: usize) -> f32 {
    (7 * r + 2 * c) as f32 - 3.0
}

#[test]
fn npy_of_every_type_is_what_numpy_wrote() {
    let of = |name: &str| Array::open(path(&format!("{name}.npy"))).unwrap();
    let matrix = |f: &dyn Fn(usize, usize) -> f32| {
        Matrix::new(4, (0..20).map(|i| f(i / 4, i % 4)).collect()).unwrap()
    };
    for name in [
        "i1", "i2", "i4", "i8", "f2", "f4", "f8", "big_f4", "big_i8", "fortran",
    ] {
        let array = of(name);
        assert_eq!(array.shape(), [5, 4], "{name}");
        assert_eq!(array.matrix(0..5, 1.0).unwrap(), matrix(&signed), "{name}");
        assert_eq!(
            array.matrix(2..3, 2.0).unwrap().data(),
            [22.0, 26.0, 30.0, 34.0],
            "{name}"
        );
    }
    for name in ["u1", "u2", "u4", "u8"] {
        let unsigned = matrix(&|r, c| signed(r, c) + 3.0);
        assert_eq!(of(name).matrix(0..5, 1.0).unwrap(), unsigned, "{name}");
    }
    let thirds = matrix(&|r, c| f32::from(u8::from((7 * r + 2 * c) % 3 == 0)));
    assert_eq!(of("bool").matrix(0..5, 1.0).unwrap(), thirds);
    // Images are flattened line after line, in whatever order they lie.
    for name in ["images", "images_fortran"] {
        let images = of(name);
        assert_eq!((images.rows(), images.cols()), (2, 6));
        let pixels: Vec<f32> = (0..12).map(|i| i as f32).collect();
        assert_eq!(images.matrix(0..2, 1.0).unwrap().data(), pixels, "{name}");
        assert_eq!(
            images.matrix(1..2, 1.0).unwrap().data(),
            &pixels[6..],
            "{name}"
        );
    }
    assert_eq!(of("y").labels(0..5).unwrap(), [0, 1, 2, 1, 0]);
    assert_eq!(of("y").labels(2..4).unwrap(), [2, 1]);
    assert_eq!(
        (of("u1").element(), of("fortran").element()),
        (Element::U8, Element::F32)
    );
}

#[test]
fn arrays_that_cannot_be_used_are_refused_with_their_place() {
    let open = |name: &str| Array::open(path(&format!("{name}.npy")));
    refused!(
        open("strings").unwrap().matrix(0..2, 1.0),
        Error::File { .. },
        ["strings.npy", "text of 1 characters", "astype('float64')"]
    );
    refused!(
        open("strings").unwrap().labels(0..2),
        Error::File { .. },
        ["strings.npy", "numbers are needed"]
    );
    refused!(
        open("records"),
        Error::File { .. },
        [
            "records.npy",
            "records of several fields",
            "structured_to_unstructured"
        ]
    );
    refused!(
        open("nan").unwrap().matrix(0..2, 1.0),
        Error::Value { .. },
        [
            "nan.npy",
            "NaN",
            "row 1, column 1",
            "finite",
            "leave that row out"
        ]
    );
    refused!(
        open("i4").unwrap().labels(0..5),
        Error::Shape { .. },
        ["[5, 4]", "one whole number"]
    );
    refused!(
        open("i4").unwrap().matrix(3..6, 1.0),
        Error::Argument { .. },
        ["3..6", "within 0..5"]
    );
    refused!(
        open("i4").unwrap().matrix(0..5, f64::NAN),
        Error::Argument { .. },
        ["scale", "NaN"]
    );
    refused!(
        open("f8").unwrap().matrix(0..5, 1e38),
        Error::Value { .. },
        ["f8.npy", "inf", "row"]
    );
    let bytes = |name: &str| std::fs::read(path(name)).unwrap();
    let read =
        |name: &str, bytes: Vec<u8>| DataFile::from_bytes(name, bytes, &OpenOptions::default());
    let npy = bytes("f4.npy");
    refused!(
        read("a.npy", npy[..npy.len() - 5].to_vec()),
        Error::File { .. },
        ["a.npy", "75 bytes of data", "[5, 4]", "80", "cut short"]
    );
    refused!(
        read("a.npy", [&npy[..], &[0]].concat()),
        Error::File { .. },
        ["81 bytes", "more follows"]
    );
    refused!(
        read("a.npy", b"\x89PNG\r\n\x1a\nxxxx".to_vec()),
        Error::File { .. },
        ["a.npy", "is not NPY", "89 50 4e 47", "numpy.save"]
    );
    let header = |text: &str| {
        let mut npy = b"\x93NUMPY\x01\x00".to_vec();
        npy.extend((text.len() as u16).to_le_bytes());
        npy.extend(text.bytes());
        read("a.npy", npy)
    };
    let shaped = |shape: &str| {
        header(&format!(
            "{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n"
        ))
    };
    refused!(
        shaped("(4611686018427387904, 4)"),
        Error::File { .. },
        ["no memory holds", "damaged"]
    );
    refused!(
        shaped("(1000000, 1000000)"),
        Error::File { .. },
        ["0 bytes", "4000000000000", "cut short"]
    );
    refused!(shaped("(0, 4)"), Error::EmptyData { .. }, ["a.npy [0, 4]"]);
    refused!(shaped("()"), Error::File { .. }, ["single number"]);
    refused!(shaped("(-3, 4)"), Error::File { .. }, ["dimension is -3"]);
    refused!(shaped("(1.5, 4)"), Error::File { .. }, ["no whole number"]);
    refused!(
        shaped("((((((1,),),),),),)"),
        Error::File { .. },
        ["brackets in brackets"]
    );
    refused!(
        header(&"[".repeat(9000)),
        Error::File { .. },
        ["brackets in brackets"]
    );
    refused!(
        header("{'descr': '<f4', 'fortran_order': False}"),
        Error::File { .. },
        ["shape is missing"]
    );
    refused!(
        header("{'descr': '<f4', 'fortran_order': 1, 'shape': (1,)}"),
        Error::File { .. },
        ["fortran_order"]
    );
    refused!(
        header(&" ".repeat(20_000)),
        Error::File { .. },
        ["20000 bytes", "10000"]
    );
    refused!(
        read("a.npy", b"\x93NUMPY\x09\x00\x00\x00".to_vec()),
        Error::File { .. },
        ["version 9.0"]
    );
    // Types that are not read, with what NumPy does about them.
    for (descr, advice) in [
        ("<c16", "numpy.stack((x.real, x.imag), -1)"),
        (
            "<M8[ns]",
            "(x - numpy.datetime64(0, 's')) / numpy.timedelta64(1, 's')",
        ),
        (">m8[D]", "x / numpy.timedelta64(1, 's')"),
        ("|O", ".astype(str)"),
        ("<f16", ".astype('float64')"),
        ("|V8", "save numbers or text"),
        ("<U0", "save numbers or text"),
        ("<U99999999999999999999", "save numbers or text"),
    ] {
        refused!(
            header(&format!(
                "{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,)}}"
            )),
            Error::File { .. },
            ["a.npy", descr, advice]
        );
    }
    // Bytes of images are told from others.
    let of = |name: &str| Array::open(path(name)).unwrap();
    for (name, image) in [
        ("images.npy", true),
        ("train-images-idx3-ubyte", true),
        ("train-labels-idx1-ubyte", true),
        ("u1.npy", false),
        ("images_fortran.npy", false),
        ("floats.idx", false),
        ("strings.npy", false),
    ] {
        assert_eq!(of(name).is_image(), image, "{name}");
    }
    assert!(of("strings.npy").is_text() && !of("f4.npy").is_text());
    let large = of("i8.npy").matrix_f64(0..5).unwrap();
    assert_eq!(large.row(4), [25.0, 27.0, 29.0, 31.0]);
    // Targets and inputs that do not belong together; labels that are none.
    let pair = |x: &str, y: &str, task| {
        let options = OpenOptions {
            task,
            ..OpenOptions::default()
        };
        DataFile::open(&[path(x), path(y)], &options)
    };
    refused!(
        pair("images.npy", "y.npy", Task::Auto),
        Error::Shape { .. },
        ["y.npy", "[5]", "2 rows", "images.npy"]
    );
    let file = pair("i4.npy", "f4.npy", Task::Classification).unwrap();
    let fit = Preparation::fit(&file, &PreparationOptions::default());
    refused!(
        fit,
        Error::Argument { .. },
        ["number of targets is 4", "1 for classification"]
    );
    let negative = DataFile::from_bytes("n.npy", bytes("i1.npy"), &OpenOptions::default()).unwrap();
    refused!(
        negative.dataset(0..5, 1.0),
        Error::File { .. },
        ["n.npy", "no targets"]
    );
}

#[test]
fn idx_is_read_as_mnist_is() {
    let open = |paths: &[&str]| {
        let paths: Vec<PathBuf> = paths.iter().map(|p| path(p)).collect();
        DataFile::open(&paths, &OpenOptions::default())
    };
    let (images, labels) = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    let packed = |name: &str| format!("{name}.gz");
    for pair in [
        [images, labels],
        [labels, images],
        [&packed(images), &packed(labels)],
        [images, &packed(labels)],
    ] {
        let file = open(&pair).unwrap();
        let preparation = Preparation::fit(&file, &PreparationOptions::default()).unwrap();
        let data = preparation.apply(&file).unwrap();
        assert_eq!(data.targets(), &Targets::Classes(vec![0, 1]));
        let pixels: Vec<f32> = (0..12_u8).map(|p| f32::from(p) * (1.0 / 255.0)).collect();
        assert_eq!(data.inputs().data(), pixels);
        // Kept on a device as bytes, with the same bits.
        let network = Mlp::new(6).dense(2, Identity);
        let mut trainer = Trainer::new(
            &Device::cpu(),
            &network,
            Loss::CrossEntropy,
            Sgd::default(),
            7,
        )
        .unwrap();
        let loaded = trainer
            .load(&data, Storage::U8 { scale: 1.0 / 255.0 })
            .unwrap();
        assert_eq!(loaded.data(), &data);
    }
    for name in ["floats.idx", "floats.idx.gz"] {
        let floats = Array::open(path(name)).unwrap().matrix(0..5, 1.0).unwrap();
        assert_eq!(floats.row(4), [25.0, 27.0, 29.0, 31.0]);
    }
    let bytes = std::fs::read(path(images)).unwrap();
    let read = |bytes: Vec<u8>| DataFile::from_bytes("images.idx", bytes, &OpenOptions::default());
    let mut wrong = bytes.clone();
    wrong[0] = 8;
    refused!(
        read(wrong),
        Error::File { .. },
        [
            "images.idx",
            "magic number is wrong",
            "08 00 08 03",
            "00 00"
        ]
    );
    let mut wrong = bytes.clone();
    wrong[2] = 7;
    refused!(read(wrong), Error::File { .. }, ["magic number"]);
    refused!(
        read(bytes[..10].to_vec()),
        Error::File { .. },
        ["cut short within its header", "10 bytes", "16"]
    );
    refused!(
        read(bytes[..20].to_vec()),
        Error::File { .. },
        ["4 bytes of data", "12", "cut short"]
    );
    refused!(
        read([&bytes[..], &[1]].concat()),
        Error::File { .. },
        ["13 bytes", "more follows"]
    );
    let mut huge = bytes.clone();
    huge[4..16].fill(0xff);
    refused!(read(huge), Error::File { .. }, ["no memory holds"]);
    let mut packed_bytes = std::fs::read(path("train-images-idx3-ubyte.gz")).unwrap();
    let at = packed_bytes.len() - 12;
    packed_bytes[at] ^= 0x55;
    refused!(
        read(packed_bytes),
        Error::File { .. },
        ["images.idx", "gzip"]
    );
}

#[test]
fn archives_give_their_arrays_by_name() {
    let open = |name: &str, options: &OpenOptions| DataFile::open(&[path(name)], options);
    let default = OpenOptions::default();
    for name in ["pair.npz", "pair.safetensors"] {
        let file = open(name, &default).unwrap();
        let data = file.dataset(0..5, 1.0).unwrap();
        assert_eq!(
            data.targets(),
            &Targets::Classes(vec![0, 1, 2, 1, 0]),
            "{name}"
        );
        let expected: Vec<f32> = (0..20).map(|i| signed(i / 4, i % 4)).collect();
        assert_eq!(data.inputs().data(), expected, "{name}");
        let named = |inputs: &str| OpenOptions {
            inputs: Some(inputs.into()),
            ..OpenOptions::default()
        };
        refused!(
            open(name, &named("xs")),
            Error::UnknownColumn { .. },
            [name, "no array \"xs\" (did you mean \"x\"?)", "it has x, y"]
        );
        let swapped = OpenOptions {
            targets: Some("z".into()),
            ..OpenOptions::default()
        };
        refused!(
            open(name, &swapped),
            Error::UnknownColumn { .. },
            ["array \"z\""]
        );
        let text = OpenOptions {
            task: Task::Regression,
            ..OpenOptions::default()
        };
        assert!(matches!(
            open(name, &text)
                .unwrap()
                .dataset(0..5, 1.0)
                .unwrap()
                .targets(),
            Targets::Values(_)
        ));
    }
    let packed = open("packed.npz", &default).unwrap();
    let shapes: Vec<&[usize]> = packed.parts().map(|p| p.array().unwrap().shape()).collect();
    assert_eq!(shapes, [&[2, 2, 3][..], &[2]]);
    let wrong =
        |name: &str, bytes: &[u8]| DataFile::from_bytes(name, bytes, &OpenOptions::default());
    refused!(
        wrong("a.npz", b"PK\x03\x04nothing"),
        Error::File { .. },
        ["a.npz", "NPZ", "numpy.savez"]
    );
    refused!(
        wrong("a.safetensors", b"nothing at all"),
        Error::File { .. },
        ["a.safetensors", "damaged"]
    );
    refused!(
        wrong("a.bin", b"\0\x01\x02\0\0\0"),
        Error::File { .. },
        ["a.bin", "00 01 02", "CSV, NPY, NPZ, IDX"]
    );
    refused!(wrong("a.bin", b""), Error::File { .. }, ["empty", "CSV"]);
    refused!(
        DataFile::open::<&str>(&[], &default),
        Error::Argument { .. },
        ["0", "one, or two"]
    );
    refused!(
        DataFile::open(&[path("pair.npz"), path("y.npy")], &default),
        Error::File { .. },
        ["pair.npz", "one array"]
    );
    // By their first bytes, whatever their names.
    for (name, kind) in [
        ("pair.npz", "arrays"),
        ("f4.npy", "arrays"),
        ("floats.idx", "arrays"),
        ("pair.safetensors", "arrays"),
    ] {
        let bytes = std::fs::read(path(name)).unwrap();
        let file = DataFile::from_bytes("data", bytes, &default).unwrap();
        assert!(file.inputs().array().is_some(), "{name} is {kind}");
    }
    let text = DataFile::from_bytes("data", "a,b\n1,2\n", &default).unwrap();
    assert!(text.inputs().table().is_some());
}

/// An archive of files of these names.
fn zipped(names: &[&str]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in names {
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file(*name, options).unwrap();
        std::io::Write::write_all(&mut archive, b"a,b\n1,2\n").unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn files_that_are_no_data_are_known_and_refused_with_what_to_do() {
    let gzipped = |bytes: &[u8]| {
        let level = flate2::Compression::fast();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let utf16: Vec<u8> = "a,b\n1,2\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let utf16_be: Vec<u8> = "a,b\n1,2\n"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    let kinds: [(&[u8], &str, &str); 20] = [
        (
            b"{\"a\": 1, \"b\": 2}\n{\"a\": 3, \"b\": 4}\n",
            "is JSON",
            "to_csv",
        ),
        (b"[{\"a\": 1},\n {\"a\": 2}]", "is JSON", "to_csv"),
        (b"[\n  [1, 2],\n  [3, 4]\n]", "is JSON", "to_csv"),
        (b"{\n  \"a\": [1]\n}", "is JSON", "to_csv"),
        (
            b"PAR1\x15\x04\x15\x10",
            "is a Parquet file",
            "save it as CSV",
        ),
        (
            b"ARROW1\0\0\xff\xff",
            "is a Feather (Arrow) file",
            "save it as CSV",
        ),
        (b"\x89HDF\r\n\x1a\n\0", "is an HDF5 file", "numpy.savez"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0",
            "is an Excel workbook",
            "save it as CSV",
        ),
        (b"\x80\x04\x95\x10\0", "is a Python pickle", "any program"),
        (
            b"SQLite format 3\0",
            "is an SQLite database",
            "save its table as CSV",
        ),
        (b"%PDF-1.7\n", "is a PDF document", "CSV"),
        (b"\n<!DOCTYPE html>\n<html>", "is a web page", "download"),
        (b"<HTML><body>", "is a web page", "download"),
        (b"<?xml version=\"1.0\"?>", "is XML", "save it as CSV"),
        (b"BZh91AY&SY\x01", "is compressed by bzip2", "unpack it"),
        (b"\xfd7zXZ\0\0", "is compressed by xz", "unpack it"),
        (
            b"\x28\xb5\x2f\xfd\x04",
            "is compressed by zstd",
            "unpack it",
        ),
        (
            b"\xff\xfea\0,\0b\0\n\0",
            "is UTF-16 text",
            "save it as UTF-8",
        ),
        (&utf16, "is UTF-16 text", "save it as UTF-8"),
        (&utf16_be, "is UTF-16 text", "save it as UTF-8"),
    ];
    let options = OpenOptions::default();
    for (bytes, problem, advice) in kinds {
        for name in ["data.csv", "data", "data.json", "data.xlsx"] {
            refused!(
                DataFile::from_bytes(name, bytes, &options),
                Error::File { .. },
                [&format!("{name}: {problem}"), advice]
            );
        }
        refused!(
            DataFile::from_bytes("data.csv.gz", gzipped(bytes), &options),
            Error::File { .. },
            [problem, advice]
        );
        refused!(
            Table::from_bytes("data.csv", bytes, &CsvOptions::default()),
            Error::File { .. },
            [problem, advice]
        );
    }
    for (names, problem, advice) in [
        (&["data.csv"][..], "is a ZIP of data.csv", "unpack it"),
        (
            &["a/", "a/x.csv", "a/y.csv"],
            "is a ZIP of a/x.csv, a/y.csv",
            "unpack it",
        ),
        (
            &[
                "[Content_Types].xml",
                "xl/workbook.xml",
                "xl/worksheets/sheet1.xml",
            ],
            "is an Excel workbook",
            "save it as CSV",
        ),
        (
            &["[Content_Types].xml", "word/document.xml"],
            "is an Office document",
            "CSV",
        ),
        (
            &["mimetype", "content.xml"],
            "is an OpenDocument file",
            "CSV",
        ),
        (
            &["model/data.pkl", "model/data/0"],
            "is a PyTorch file",
            "safetensors",
        ),
        (&[], "is an empty ZIP archive", "give CSV"),
    ] {
        let bytes = zipped(names);
        for name in ["data.csv.zip", "book.xlsx", "data.csv", "data.npz", "data"] {
            refused!(
                DataFile::from_bytes(name, bytes.clone(), &options),
                Error::File { .. },
                [&format!("{name}: {problem}"), advice]
            );
        }
        refused!(
            Table::from_bytes("data.csv", bytes, &CsvOptions::default()),
            Error::File { .. },
            [problem, advice]
        );
    }
    // Tables that only begin like these.
    for text in [
        "ORC,b\n1,2\n",
        "PAR1,b\n1,2\n",
        "BZh,b\n1,2\n",
        "{a},b\n1,2\n",
        "[x],b\n1,2\n",
    ] {
        assert_eq!(table(text).rows(), 1, "{text}");
    }
    // Arrays are arrays, whatever their name.
    for name in ["f4.npy", "pair.npz"] {
        let bytes = std::fs::read(path(name)).unwrap();
        let file = DataFile::from_bytes("data.csv", bytes, &options).unwrap();
        assert!(file.inputs().array().is_some(), "{name}");
    }
}

#[test]
fn one_call_opens_and_prepares() {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits/optdigits.csv");
    let (data, preparation) = Dataset::open(
        &[digits],
        &OpenOptions::default(),
        &PreparationOptions::default(),
    )
    .unwrap();
    assert_eq!((data.rows(), data.inputs().cols()), (1797, 64));
    let digits: Vec<String> = (0..10).map(|d| d.to_string()).collect();
    assert_eq!(preparation.classes().unwrap().names(), digits);
    assert_eq!(preparation.constant_columns().len(), 3);
    for c in 0..64 {
        let column: Vec<f64> = (0..1797)
            .map(|r| f64::from(data.inputs().row(r)[c]))
            .collect();
        let mean = column.iter().sum::<f64>() / 1797.0;
        let variance = column.iter().map(|x| x * x).sum::<f64>() / 1797.0;
        let constant = matches!(
            preparation.inputs()[c].encoding,
            Encoding::Number { constant: true, .. }
        );
        // Each element is off by at most 2⁻²⁴ of itself.
        assert!(mean.abs() < 1e-6, "{mean}");
        assert!(
            (variance - f64::from(u8::from(!constant))).abs() < 1e-6,
            "{variance}"
        );
    }
    let (pair, _) = Dataset::open(
        &[path("pair.npz")],
        &OpenOptions::default(),
        &PreparationOptions::default(),
    )
    .unwrap();
    assert_eq!(pair.rows(), 5);
}

/// A file as people have them: quotes, newlines in values, an empty line, values missing, letters beyond ASCII.
#[test]
fn a_file_as_people_have_them_is_read() {
    let flats = [path("flats.csv")];
    let open = |missing| {
        let options = PreparationOptions {
            missing,
            ..PreparationOptions::default()
        };
        Dataset::open(&flats, &OpenOptions::default(), &options)
    };
    refused!(
        open(Missing::Error),
        Error::Cell(_),
        ["flats.csv, line 5, column \"floor, counted\": \"NA\" is missing"]
    );
    let (data, preparation) = open(Missing::Mean).unwrap();
    assert_eq!(data.rows(), 5);
    let names = preparation.input_names();
    assert_eq!(
        names,
        [
            "size",
            "city=Bonn",
            "city=Essen\nsouth",
            "city=Köln",
            "floor, counted",
            "balcony=\"no\"",
            "balcony=no",
            "balcony=yes"
        ]
    );
    // The mean of 1, 2, 0 and 3, at its scale.
    assert_eq!(data.inputs().row(2)[4], 0.0);
    let (dropped, _) = open(Missing::Drop).unwrap();
    assert_eq!(dropped.rows(), 2);
}

// Splits

#[test]
fn folds_have_each_row_once_and_each_class_evenly() {
    let rows = 103;
    let x = Matrix::new(1, (0..rows).map(|r| r as f32).collect()).unwrap();
    let labels: Vec<u32> = (0..rows).map(|r| u32::from(r % 10 == 0)).collect();
    let data = Dataset::classes(x.clone(), labels).unwrap();
    let values = Dataset::values(x.clone(), x.clone()).unwrap();
    for data in [&data, &values] {
        for k in [2, 3, 5, 11] {
            let mut seen = vec![0; rows];
            for (train, validation) in data.folds(k, 7).unwrap() {
                assert_eq!(train.rows() + validation.rows(), rows);
                assert!(validation.rows().abs_diff(rows / k) <= 1);
                for &r in validation.inputs().data() {
                    seen[r as usize] += 1;
                    assert!(!train.inputs().data().contains(&r));
                }
                if let Targets::Classes(labels) = validation.targets() {
                    let ones = labels.iter().filter(|&&l| l == 1).count();
                    assert!(
                        ones == 11 / k || ones == 11_usize.div_ceil(k),
                        "{ones} of 11 in {k}"
                    );
                }
            }
            assert!(seen.iter().all(|&n| n == 1));
        }
    }
    let firsts = |seed| data.folds(5, seed).unwrap().next().unwrap();
    assert_eq!(firsts(1), firsts(1));
    assert_ne!(firsts(1), firsts(2));
    assert_eq!(data.folds(4, 0).unwrap().len(), 4);
    refused!(
        data.folds(1, 0),
        Error::Argument { .. },
        ["folds is 1", "from 2"]
    );
    refused!(values.folds(104, 0), Error::Argument { .. }, ["104", "103"]);
    refused!(
        data.folds(12, 0),
        Error::Argument { .. },
        ["12, with 11 row(s) of class 1", "fewer folds"]
    );
}

#[test]
fn three_way_splits_keep_their_shares() {
    let rows = 1000;
    let x = Matrix::new(1, (0..rows).map(|r| r as f32).collect()).unwrap();
    let data = Dataset::classes(x, (0..rows as u32).map(|r| r % 4).collect()).unwrap();
    let (train, validation, test) = data.split_three(0.6, 0.25, 3).unwrap();
    assert_eq!(
        (train.rows(), validation.rows(), test.rows()),
        (600, 250, 150)
    );
    let mut all: Vec<f32> = [&train, &validation, &test]
        .iter()
        .flat_map(|d| d.inputs().data())
        .copied()
        .collect();
    all.sort_by(f32::total_cmp);
    assert!(all.iter().enumerate().all(|(r, &x)| x == r as f32));
    for part in [&train, &validation, &test] {
        let Targets::Classes(labels) = part.targets() else {
            panic!("values")
        };
        for class in 0..4 {
            let share = labels.iter().filter(|&&l| l == class).count();
            assert!(share.abs_diff(part.rows() / 4) <= 1);
        }
    }
    refused!(
        data.split_three(0.6, 0.4, 3),
        Error::Argument { .. },
        ["0.4, beside 0.6", "test on"]
    );
    refused!(
        data.split_three(0.6, 0.0, 3),
        Error::Argument { .. },
        ["above 0"]
    );
    refused!(
        data.split_three(f64::NAN, 0.2, 3),
        Error::Argument { .. },
        ["NaN"]
    );
}

// Streams

#[test]
fn numbers_of_f64_are_matrices() {
    let rows = vec![vec![0.5, 1.5], vec![-2.0, 0.1]];
    let exact = Matrix::<f64>::try_from(rows.clone()).unwrap();
    assert_eq!(exact.data(), [0.5, 1.5, -2.0, 0.1]);
    let rounded = [0.5, 1.5, -2.0, 0.1_f32];
    assert_eq!(Matrix::from_f64_rows(&rows).unwrap().data(), rounded);
    let flat = Matrix::from_f64(2, &rows.concat()).unwrap();
    assert_eq!((flat.cols(), flat.data()), (2, &rounded[..]));
    assert_eq!(Matrix::<f32>::try_from(exact).unwrap(), flat);
    let wide = Matrix::<f64>::from(flat.clone());
    assert_eq!(wide.data()[3], f64::from(0.1_f32));
    assert_eq!(flat.into_data(), rounded);

    // The largest f32, and what would be infinite: the number that came is named.
    let most = f64::from(f32::MAX);
    assert_eq!(Matrix::from_f64(1, &[most]).unwrap().data(), [f32::MAX]);
    for (data, at, value) in [
        ([0.0, 1.0, 2.0, 1e39], (1, 1), 1e39),
        ([0.0, -1e300, 2.0, 1e39], (0, 1), -1e300),
    ] {
        let error = Matrix::from_f64(2, &data).unwrap_err();
        let Error::Value {
            row,
            col,
            value: got,
            ..
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!(((row, col), got), (at, value));
        assert!(error.to_string().contains("scale"), "{error}");
    }
    let nan = Matrix::from_f64(1, &[0.0, f64::NAN]);
    assert!(matches!(nan, Err(Error::Value { row: 1, .. })), "{nan:?}");
    let ragged = Matrix::<f32>::try_from(vec![vec![1.0], vec![1.0, 2.0]]);
    assert!(matches!(ragged, Err(Error::Shape { .. })), "{ragged:?}");
    assert!(matches!(
        Matrix::from_f64(2, &[1.0]),
        Err(Error::Shape { .. })
    ));
}

#[test]
fn a_stream_has_every_row_once() {
    let rows = 1003;
    let x = Matrix::new(1, (0..rows).map(|r| r as f32).collect()).unwrap();
    let data = Dataset::classes(x, vec![0; rows]).unwrap();
    for (batch, window) in [
        (1, 1),
        (8, 8),
        (8, 64),
        (8, 100),
        (32, 200),
        (10, 999),
        (1003, 1003),
        (7, 5000),
    ] {
        for seed in [None, Some(3)] {
            let stream = || {
                let stream = Stream::new(&data, batch, window).unwrap();
                match seed {
                    Some(seed) => stream.shuffled(seed),
                    None => stream,
                }
            };
            let batches: Vec<Dataset> = stream().map(Result::unwrap).collect();
            assert_eq!(batches.len(), rows.div_ceil(batch), "{batch} {window}");
            assert!(
                batches[..batches.len() - 1]
                    .iter()
                    .all(|b| b.rows() == batch)
            );
            let order: Vec<f32> = batches
                .iter()
                .flat_map(|b| b.inputs().data())
                .copied()
                .collect();
            let mut sorted = order.clone();
            sorted.sort_by(f32::total_cmp);
            assert!(sorted.iter().enumerate().all(|(r, &x)| x == r as f32));
            assert_eq!(
                seed.is_none() || rows == 1,
                order == sorted,
                "{batch} {window} {seed:?}"
            );
            let again: Vec<Dataset> = stream().map(Result::unwrap).collect();
            assert_eq!(batches, again);
            if window >= rows {
                let plain = data.batches(batch).unwrap();
                let plain: Vec<Dataset> = match seed {
                    Some(seed) => plain.shuffled(seed).collect(),
                    None => plain.collect(),
                };
                assert_eq!(batches, plain);
            }
        }
    }
    // A single row that is left over goes into the batch before it, whatever the window; other batches stay as they are.
    for (batch, window) in [
        (6, 6),
        (6, 12),
        (6, 100),
        (167, 167),
        (334, 700),
        (501, 1003),
        (8, 64),
        (1, 1),
    ] {
        for seed in [1, 2] {
            let stream = || Stream::new(&data, batch, window).unwrap().shuffled(seed);
            let plain: Vec<Dataset> = stream().map(Result::unwrap).collect();
            let joined: Vec<Dataset> = stream().joined().map(Result::unwrap).collect();
            let one = usize::from(batch > 1 && rows % batch == 1);
            assert_eq!(joined.len() + one, plain.len(), "{batch} {window}");
            assert_eq!(
                joined.last().unwrap().rows(),
                match one {
                    1 => batch + 1,
                    _ => plain.last().unwrap().rows(),
                }
            );
            let all = |batches: &[Dataset]| {
                let values = batches.iter().flat_map(|b| b.inputs().data());
                let mut values: Vec<usize> = values.map(|&x| x as usize).collect();
                values.sort_unstable();
                values
            };
            assert_eq!(all(&joined), (0..rows).collect::<Vec<_>>());
            if window >= rows {
                let cut = data.batches(batch).unwrap().joined().shuffled(seed);
                assert_eq!(joined, cut.collect::<Vec<_>>());
            }
        }
    }
    // The first shuffled window comes from all over the data, not from its beginning.
    let first: Vec<f32> = Stream::new(&data, 160, 160)
        .unwrap()
        .shuffled(1)
        .next()
        .unwrap()
        .unwrap()
        .inputs()
        .data()
        .to_vec();
    assert!(first.iter().any(|&r| r < 300.0) && first.iter().any(|&r| r > 700.0));
    refused!(
        Stream::new(&data, 0, 10),
        Error::BatchSize { .. },
        ["0 rows"]
    );
    refused!(
        Stream::new(&data, 10, 9),
        Error::Argument { .. },
        ["window", "9 rows", "10 rows"]
    );
}

/// Training from a file through a window that holds all of it gives the bits of training from memory; through a smaller one it
/// learns too.
#[test]
fn files_train_by_streams() {
    let mut text = String::from("a,b,label\n");
    for i in 0..600 {
        let (a, b) = ((i * 37) % 101, (i * 53) % 89);
        let label = if a + b > 95 { "high" } else { "low" };
        text += &format!(
            "{},{b},{label}\n",
            if i % 50 == 7 {
                "NA".into()
            } else {
                a.to_string()
            }
        );
    }
    let table = table(&text);
    let options = PreparationOptions {
        missing: Missing::Drop,
        ..PreparationOptions::default()
    };
    let preparation = Preparation::fit(&table, &options).unwrap();
    let source = preparation.source(&table).unwrap();
    assert_eq!((source.dropped(), source.rows()), (12, 588));
    let data = preparation.apply(&table).unwrap();
    // Any part of it is that part of the whole, though rows are left out before, within and behind.
    for rows in [0..1, 6..8, 0..588, 50..150, 587..588] {
        let part: Vec<usize> = rows.clone().collect();
        assert_eq!(source.read(rows).unwrap(), data.select(&part));
    }
    refused!(
        source.read(580..589),
        Error::Argument { .. },
        ["580..589", "0..588"]
    );
    let network = Mlp::new(2).dense(8, Tanh).dense(2, Identity);
    let trainer = || {
        Trainer::new(
            &Device::cpu(),
            &network,
            Loss::CrossEntropy,
            Sgd {
                lr: 0.3,
                ..Sgd::default()
            },
            7,
        )
        .unwrap()
    };
    let (mut of_memory, mut of_file, mut of_window) = (trainer(), trainer(), trainer());
    for epoch in 0..10 {
        for batch in data.batches(16).unwrap().shuffled(epoch) {
            of_memory.step(&batch).unwrap();
        }
        for batch in Stream::new(&source, 16, 1000).unwrap().shuffled(epoch) {
            of_file.step(&batch.unwrap()).unwrap();
        }
        for batch in Stream::new(&source, 16, 128).unwrap().shuffled(epoch) {
            of_window.step(&batch.unwrap()).unwrap();
        }
    }
    assert_eq!(of_memory.weights().unwrap(), of_file.weights().unwrap());
    assert!(of_window.evaluate(&data).unwrap().accuracy > Some(0.95));
}

/// A bad value far down a file that is streamed is told with its line, and ends the stream.
#[test]
fn a_stream_tells_what_is_wrong_and_ends() {
    let (_, preparation) = prepared("a,y\n1,p\n2,q\n").unwrap();
    let mut text = "a,y\n".to_string();
    for i in 0..300 {
        text += if i == 250 { "x,p\n" } else { "1,q\n" };
    }
    let table = table(&text);
    let source = preparation.source(&table).unwrap();
    let mut stream = Stream::new(&source, 10, 50).unwrap();
    let good = stream.by_ref().take_while(Result::is_ok).count();
    assert_eq!(good, 25);
    assert!(stream.next().is_none());
    let error = Stream::new(&source, 10, 50)
        .unwrap()
        .find_map(Result::err)
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("t.csv, line 252, column \"a\": \"x\""),
        "{error}"
    );
    // Arrays are a source too, and a data set.
    let options = OpenOptions::default();
    let arrays = DataFile::open(&[path("pair.npz")], &options).unwrap();
    let batches: Vec<usize> = Stream::new(&arrays, 2, 2)
        .unwrap()
        .map(|b| b.unwrap().rows())
        .collect();
    assert_eq!(batches, [2, 2, 1]);
}

/// What was stored before tables remembered how they were read, and before names kept their letters, goes on as it did.
#[test]
fn a_preparation_of_an_earlier_version_still_serves() {
    let stored = r#"{
        "width": 3,
        "inputs": [
            {"column": {"name": "size", "index": 0},
             "encoding": {"Number": {"shift": 60.0, "factor": 0.1, "constant": false}}, "fill": "60"},
            {"column": {"name": "city", "index": 1},
             "encoding": {"OneHot": {"categories": ["1", "2"], "unseen": "error"}}, "fill": null}
        ],
        "target": {"Classes": {"column": {"name": "y", "index": 2}, "classes": ["3", "10"]}},
        "drop_rows": false,
        "missing": ["", "NA"]
    }"#;
    let old: Preparation = serde_json::from_str(stored).unwrap();
    let options = old.csv_options();
    assert_eq!(
        (options.header, &options.missing[..]),
        (Some(true), &["".to_owned(), "NA".into()][..])
    );
    let new = Table::from_bytes("t.csv", "y;city;size\n10.0;2;70\n3;1.0;NA\n", &options).unwrap();
    let data = old.apply(&new).unwrap();
    assert_eq!(data.inputs().data(), [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    assert_eq!(data.targets(), &Targets::Classes(vec![1, 0]));
}

/// Rules of single columns go before that of all: a row is dropped only for a column whose own rule says so.
#[test]
fn missing_values_go_by_the_rule_of_their_column() {
    let csv = "a,b,y\n1,2,3.5\n,3,4.5\n2,,1\n3,4,2\n4,1,3\n5,2,4\n6,,5\n7,5,1.5\n";
    let with = |all: Missing, rules: &[(&str, Missing)]| {
        let options = PreparationOptions {
            missing: all,
            missing_in: rules
                .iter()
                .map(|(name, rule)| ((*name).into(), rule.clone()))
                .collect(),
            ..unscaled()
        };
        prepared_by(csv, &options).map(|(data, _)| data)
    };
    let kept = with(Missing::Drop, &[("b", Missing::Median)]).unwrap();
    assert_eq!(kept.rows(), 7);
    assert_eq!(kept.inputs().row(1), [2.0, 2.0]); // the median of 2, 4, 1, 2 and 5
    let both = with(
        Missing::Mean,
        &[("a", Missing::Drop), ("b", Missing::Constant("9".into()))],
    );
    let both = both.unwrap();
    assert_eq!((both.rows(), both.inputs().row(1)), (7, &[2.0, 9.0][..]));
    assert_eq!(with(Missing::Drop, &[]).unwrap().rows(), 5);
    refused!(
        with(Missing::Error, &[("a", Missing::Mean)]),
        Error::Cell(_),
        ["line 4", "column \"b\""]
    );
    // What shall be learnt is not made up, and categories have no mean.
    refused!(
        with(Missing::Drop, &[("y", Missing::Mean)]),
        Error::Argument { .. },
        ["column \"y\"", "error or drop"]
    );
    let text = "a,b,y\nu,2,1\nv,3,2\n,4,1\nu,5,2\n";
    let options = PreparationOptions {
        missing_in: vec![("a".into(), Missing::Mean)],
        ..PreparationOptions::default()
    };
    refused!(
        prepared_by(text, &options),
        Error::Argument { .. },
        ["column \"a\"", "has categories"]
    );
}

/// What is doubtful or absurd about a column is told, or refused, with the column.
#[test]
fn doubtful_columns_are_told_of() {
    let survey = |csv: &str| {
        let table = Table::from_bytes("t.csv", csv, &CsvOptions::default()).unwrap();
        let survey = wgrad::Survey::of(&table, &PreparationOptions::default()).unwrap();
        let kinds = survey.warnings().iter().map(|w| (w.column.index, w.kind));
        kinds.collect::<Vec<_>>()
    };
    use wgrad::data::WarningKind::*;
    let rows = |row: &dyn Fn(i64) -> String| {
        let rows: Vec<String> = (0..40).map(row).collect();
        format!("id,x,y\n{}\n", rows.join("\n"))
    };
    let x = |i: i64| i * 7 % 11;
    assert_eq!(
        survey(&rows(&|i| format!("{},{},{}", i + 5, x(i), i % 2))),
        [(0, Identifier)]
    );
    // In another order they still differ, and are called an id.
    assert_eq!(
        survey(&rows(&|i| format!("{},{},{}", i * 17 % 1009, x(i), i % 2))),
        [(0, Identifier)]
    );
    assert_eq!(
        survey(&rows(&|i| format!(
            "{},{} kg,{}",
            i % 3,
            x(i) as f64 / 2.0 + 0.25,
            i % 2
        ))),
        [(1, LikeNumbers)]
    );
    assert_eq!(
        survey(&rows(&|i| format!("{},{},{}", i % 3, x(i), i % 2))),
        []
    );
    // Names as many as rows; a target that never changes; names where several targets must be numbers.
    refused!(
        prepared(&rows(&|i| format!("u{i},{},{}", x(i), i % 2))),
        Error::Column { .. },
        ["column \"id\"", "40 categories in 40 rows"]
    );
    refused!(
        prepared(&rows(&|i| format!("{},{},1.5", i % 3, x(i)))),
        Error::Column { .. },
        ["column \"y\"", "all 40 rows have 1.5"]
    );
    refused!(
        prepared(&rows(&|i| format!("{},{},c{i}", i % 3, x(i)))),
        Error::Column { .. },
        ["column \"y\"", "40 classes for 40 rows"]
    );
    let two = PreparationOptions {
        targets: vec!["x".into(), "y".into()],
        ..PreparationOptions::default()
    };
    refused!(
        prepared_by(
            &rows(&|i| format!("{},{},0050{}", i % 3, x(i), i % 2)),
            &two
        ),
        Error::Column { .. },
        ["column \"y\"", "\"00500\"", "must be numbers"]
    );
}

/// Labels that number letters are classes without a word, counts of things are numbers.
#[test]
fn codes_of_classes_are_told_from_counts() {
    let classes = |label: &dyn Fn(usize) -> usize| {
        let row = |i: usize| format!("{},{}\n", i * 7 % 13, label(i));
        let rows: String = (0..2000).map(row).collect();
        prepared(&format!("x,y\n{rows}"))
            .unwrap()
            .1
            .classes()
            .map(ClassMap::len)
    };
    assert_eq!(classes(&|i| i % 26), Some(26));
    assert_eq!(classes(&|i| 1 + i % 26), Some(26));
    assert_eq!(classes(&|i| 2 + i % 26), None);
    // Few at the end of the range, as of counts.
    assert_eq!(classes(&|i| if i < 3 { 25 } else { i % 25 }), None);
}

/// Names of classes are looked up as they were read: in the table's own notation.
#[test]
fn classes_in_another_notation_are_found_again() {
    let rows: String = (0..60)
        .map(|i| format!("{}.234.567;{}.000;{},5\n", 1 + i % 7, 1 + i % 3, i % 2))
        .collect();
    let text = format!("pop;y;z\n{rows}");
    let options = PreparationOptions {
        targets: vec!["y".into()],
        ..PreparationOptions::default()
    };
    let (data, preparation) = prepared_by(&text, &options).unwrap();
    assert_eq!(
        preparation.classes().unwrap().names(),
        ["1.000", "2.000", "3.000"]
    );
    assert_eq!(data.labels().unwrap()[..4], [0, 1, 2, 0]);
    let stored = serde_json::to_string(&preparation).unwrap();
    let again: Preparation = serde_json::from_str(&stored).unwrap();
    assert_eq!(again, preparation);
    let new = Table::from_bytes("n.csv", "y;z;pop\n2000;0,5;1\n", &again.csv_options()).unwrap();
    assert_eq!(again.apply(&new).unwrap().labels().unwrap(), [1]);
    // Categories of inputs alike: not one of them is unknown.
    let options = PreparationOptions {
        targets: vec!["z".into()],
        categorical: vec!["y".into()],
        ..PreparationOptions::default()
    };
    let (data, _) = prepared_by(&text, &options).unwrap();
    assert!((0..60).all(|r| data.inputs().row(r)[1..].iter().sum::<f32>() == 1.0));
}

/// Columns without names keep their meaning where the targets come in a file of their own, or do not come.
#[test]
fn columns_without_names_are_found_where_targets_stand_elsewhere() {
    let rows: Vec<[String; 3]> = (0..40)
        .map(|i| {
            [
                format!("{}.5", i % 5),
                format!("id{i}"),
                format!("{}.25", i * 7 % 11),
            ]
        })
        .collect();
    let of = |cols: &[usize]| -> Vec<u8> {
        let line = |row: &[String; 3]| {
            let cells: Vec<&str> = cols.iter().map(|&c| row[c].as_str()).collect();
            cells.join(",") + "\n"
        };
        rows.iter().map(line).collect::<String>().into_bytes()
    };
    let csv = CsvOptions {
        header: Some(false),
        ..CsvOptions::default()
    };
    let open = |cols: &[usize]| Table::from_bytes("t.csv", of(cols), &csv).unwrap();
    let options = PreparationOptions {
        targets: vec![0.into()],
        ids: vec![1.into()],
        ..PreparationOptions::default()
    };
    let whole = open(&[0, 1, 2]);
    let preparation = Preparation::fit(&whole, &options).unwrap();
    let expected = preparation.apply(&whole).unwrap();
    let inputs = wgrad::Part::Table(open(&[1, 2]));
    let targets = wgrad::Part::Table(open(&[0]));
    let pair = DataFile::new(inputs, Some(targets), Task::Auto).unwrap();
    assert_eq!(preparation.apply(&pair).unwrap(), expected);
    let narrow = open(&[1, 2]);
    assert_eq!(
        &preparation.apply_inputs(&narrow).unwrap(),
        expected.inputs()
    );
    for (table, place) in [(&whole, 1), (&narrow, 0)] {
        let ids = preparation.id_places(table).unwrap();
        assert_eq!(ids, [place]);
        let texts = Preparation::texts(table, &ids[0].into(), 3..5).unwrap();
        assert_eq!(texts, ["id3", "id4"]);
        assert_eq!(
            preparation.unused(table).unwrap(),
            if place == 1 { vec![0] } else { vec![] }
        );
    }
}

/// Extreme numbers are brought to scale wherever they stand, and tables of targets are read as they were.
#[test]
fn scales_do_not_depend_on_the_order_of_rows() {
    let column = |first: &str, last: &str| {
        let rows: String = (0..30)
            .map(|i| format!("{}.5,{}\n", i % 9, i % 2))
            .collect();
        let csv = format!("x,y\n{first}{rows}{last}");
        let (data, _) = prepared(&csv).unwrap();
        let mut x: Vec<f32> = data.inputs().data().to_vec();
        x.sort_by(f32::total_cmp);
        x
    };
    let (first, last) = (column("1e-200,1\n", ""), column("", "1e-200,1\n"));
    let close = first.iter().zip(&last).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(close && first[30] < 3.0, "{first:?} {last:?}");
    let huge: String = (0..30)
        .map(|i| format!("{}.5e180,{}\n", i % 9, i % 2))
        .collect();
    let (data, _) = prepared(&format!("x,y\n{huge}")).unwrap();
    assert!(data.inputs().data().iter().all(|x| x.abs() < 3.0));
    assert!(data.inputs().data().iter().any(|x| x.abs() > 1.0));
}

/// A row of weight 0 has no part in means either.
#[test]
fn rows_of_weight_0_have_no_part_in_the_preparation() {
    let options = PreparationOptions {
        weights: Some("w".into()),
        ..PreparationOptions::default()
    };
    let csv = "x,w,y\n1.5,1,0\n3.5,2,1\n1000,0,0\n1.5,0.5,1\n3.5,1,0\n";
    let (data, preparation) = prepared_by(csv, &options).unwrap();
    assert_eq!(data.weights(), Some(&[1.0, 2.0, 0.0, 0.5, 1.0][..]));
    assert_eq!(preparation.input_names(), ["x"]);
    assert_eq!(data.inputs().row(0), [-1.0]);
    // Data without the column weighs alike.
    let new = Table::from_bytes("n.csv", "y,x\n1,3.5\n", &preparation.csv_options()).unwrap();
    let new = preparation.apply(&new).unwrap();
    assert_eq!((new.weights(), new.inputs().row(0)), (None, &[1.0][..]));
}
