//! Files and records of strangers: what `oat show` and `oat verify` say of them, and that they say it at once.

use crate::{home, json_lines, oat, stderr, stdout};
use oat::fractal::{Formula, Palette, Picture, Scene, Viewport};
use std::path::Path;

const WINDOW: [f64; 4] = [-0.2, 0.2, -0.2, 0.2];

/// A PNG of one pixel that says that it is a picture of this size, with so many iterations.
fn forged(file: &Path, side: u32, iterations: u32) {
    let viewport = Viewport::new(side, side, WINDOW).unwrap();
    let scene = Scene::new(Formula::Mandelbrot, viewport, iterations, Palette::Classic).unwrap();
    std::fs::write(file, Picture::new(1, 1, vec![0; 3]).to_png_of(&scene)).unwrap();
}

/// The first would take for ever.
#[test]
fn what_a_file_claims_is_not_drawn_without_limits() {
    let home = home();
    let file = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (large, long, honest) = (file("large.png"), file("long.png"), file("honest.png"));
    forged(Path::new(&large), 1_000_000, 2_000_000_000);
    forged(Path::new(&long), 1, 2_000_000_000);
    assert!(oat(home.path(), &["draw", "--size=9x9", "-o", &honest]).status.success());
    let verified = oat(home.path(), &["verify", &large, &long, &honest]);
    assert_eq!(verified.status.code(), Some(6), "{}", stderr(&verified));
    let told = stdout(&verified);
    assert!(told.contains("large.png: its size is not that of its scene"), "{told}");
    assert!(told.contains("long.png: not drawn again: too many iterations: 2000000000"), "{told}");
    assert!(told.contains("1 match, 2 differ"), "{told}");
}

#[test]
fn what_a_record_claims_is_not_drawn_without_limits() {
    let home = home();
    assert!(oat(home.path(), &["up", "--exit", "--tasks=2", "--size=40x30"]).status.success());
    let within = oat(home.path(), &["verify", "--all", "--max-pixels=4800"]);
    assert_eq!(within.status.code(), Some(0), "{}{}", stdout(&within), stderr(&within));
    for limit in ["--max-pixels=4799", "--max-iterations=2"] {
        let beyond = oat(home.path(), &["verify", "--all", limit]);
        assert_eq!(beyond.status.code(), Some(6), "{}", stderr(&beyond));
        assert_eq!(stdout(&beyond).matches("not drawn again: too many").count(), 2, "{}", stdout(&beyond));
        assert!(stdout(&beyond).contains("0 match, 2 differ"), "{}", stdout(&beyond));
    }
}

#[test]
fn a_file_has_the_version_that_its_record_has() {
    let home = home();
    let file = home.path().join("a.png");
    let file = file.to_str().unwrap();
    for (border, version) in [("none", 1), ("dark", 2)] {
        assert!(oat(home.path(), &["draw", "--size=9x9", "--border", border, "-o", file]).status.success());
        let shown = &json_lines(&oat(home.path(), &["show", file, "--json"]))[0];
        assert_eq!((&shown["v"], shown.get("uuid"), shown.get("name")), (&version.into(), None, None), "{shown}");
    }
}
