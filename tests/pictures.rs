//! The pictures of 2015, bit for bit: five vectors computed with CPython 2.7 and 3.11.

use num_complex::Complex64;
use oat::fractal::{Border, Formula, Palette, Picture, Samples, Scene, Stop, Viewport, catalogue, draw};
use sha2::{Digest, Sha256};
use std::process::Command;

struct Golden {
    size: (u32, u32),
    bounds: [f64; 4],
    iterations: u32,
    c: (f64, f64),
    sha256: &'static str,
}

const GOLDEN: [Golden; 5] = [
    Golden {
        size: (64, 48),
        bounds: [-2.0, 2.0, -1.5, 1.5],
        iterations: 255,
        c: (-0.8, 0.156),
        sha256: "6e0b3908700cf1b5eb3f87e9d9b41cb241a946f0a423ef396901826606d78602",
    },
    Golden {
        size: (33, 17),
        bounds: [-1.25, 1.75, -0.5, 0.5],
        iterations: 128,
        c: (-0.7269, 0.1889),
        sha256: "5cfc8a1424c6811347410f18f25350a0c22581edaf0027b8e426c83a408da050",
    },
    Golden {
        size: (16, 16),
        bounds: [-4.0, 4.0, -3.0, 3.0],
        iterations: 512,
        c: (0.285, 0.01),
        sha256: "e476b7984e37ee0cb96dafe47cde5fee16a1b0a0888d094f036c187c0b9d0189",
    },
    Golden {
        size: (50, 40),
        bounds: [-1.2576814065507933, 1.6486035545865234, -2.8587178863035616, 2.6351683415972076],
        iterations: 395,
        c: (-0.4, 0.6),
        sha256: "2f51da0452c1782a40d82d12330e23559e0ade8705b45443dca769e1bdb217fd",
    },
    Golden {
        size: (2, 2),
        bounds: [-1.0, 1.0, -0.5, 0.5],
        iterations: 12,
        c: (0.3, 0.5),
        sha256: "4a2c128d5d03738610ce650102c42ca82bf5760c6e80180a2eb68cbd598e9464",
    },
];

fn rgb_of(png: &[u8]) -> Vec<u8> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut rgb).unwrap();
    rgb
}

#[test]
fn the_library_draws_the_pictures_of_2015() {
    for golden in &GOLDEN {
        let viewport = Viewport::new(golden.size.0, golden.size.1, golden.bounds).unwrap();
        let formula = Formula::Julia { c: Complex64::new(golden.c.0, golden.c.1) };
        let scene = Scene::new(formula, viewport, golden.iterations, Palette::Classic).unwrap();
        let picture = draw(&scene, &Stop::default()).unwrap();
        assert_eq!(hex::encode(Sha256::digest(picture.rgb())), golden.sha256, "{:?}", golden.size);
    }
}

#[test]
fn oat_draw_draws_the_pictures_of_2015() {
    for golden in &GOLDEN {
        let [xa, xb, ya, yb] = golden.bounds;
        let output = Command::new(env!("CARGO_BIN_EXE_oat"))
            .args(["draw", "--formula", "julia", "--palette", "classic", "-o", "-"])
            .args([format!("--xa={xa}"), format!("--xb={xb}"), format!("--ya={ya}"), format!("--yb={yb}")])
            .args([format!("--cx={}", golden.c.0), format!("--cy={}", golden.c.1)])
            .args([format!("--width={}", golden.size.0), format!("--height={}", golden.size.1)])
            .arg(format!("--iterations={}", golden.iterations))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(hex::encode(Sha256::digest(rgb_of(&output.stdout))), golden.sha256, "{:?}", golden.size);
    }
}

/// Twenty lines of another language, from the definition alone.
#[test]
fn python_draws_the_same_pictures() {
    for golden in &GOLDEN {
        let Golden { size: (width, height), bounds, iterations, c: (cx, cy), .. } = golden;
        let mut arguments = vec![width.to_string(), height.to_string()];
        arguments.extend(bounds.map(|bound| bound.to_string()));
        arguments.extend([iterations.to_string(), cx.to_string(), cy.to_string()]);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/escape.py");
        let output = Command::new("python3").arg(script).args(arguments).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), golden.sha256, "{:?}", golden.size);
    }
}

#[test]
fn a_picture_says_how_it_was_drawn_and_is_drawn_again_from_that() {
    let folder = tempfile::tempdir().unwrap();
    let oat = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_oat")).args(arguments).current_dir(folder.path()).output().unwrap()
    };
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert!(oat(&["draw", "--at", "coral", "--size", "64x48", "-o", "first.png"]).status.success());
    assert!(oat(&["draw", "--like", "first.png", "-o", "again.png"]).status.success());
    assert_eq!(bytes("first.png"), bytes("again.png"));
    let shown = oat(&["show", "first.png", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["palette"], &shown["cx"], &shown["samples"]), (&"aurora".into(), &(-0.4).into(), &4.into()));

    let verify = |name: &str| oat(&["verify", name]).status.code();
    assert_eq!(verify("./first.png"), Some(0));
    // The same file with a few of its pixels painted over.
    let (picture, scene) = Picture::from_png(&bytes("first.png")).unwrap();
    let mut rgb = picture.rgb().to_vec();
    rgb[..30].fill(0);
    std::fs::write(folder.path().join("forged.png"), Picture::new(64, 48, rgb).to_png_of(&scene.unwrap())).unwrap();
    assert_eq!(verify("./forged.png"), Some(6));
}

#[test]
fn samples_are_averaged_as_light_and_one_sample_is_the_pixel_itself() {
    let scene = |samples| catalogue::place("dendrite").unwrap().scene(40, 30, Samples::new(samples).unwrap()).unwrap();
    let pictures = [1, 4, 9, 16].map(|samples| draw(&scene(samples), &Stop::default()).unwrap());
    for pair in pictures.windows(2) {
        assert_ne!(pair[0], pair[1]);
    }
    // An odd number along a side has a sample in the middle, which is the only one of the plain picture.
    let fine = draw(&scene(16), &Stop::default()).unwrap();
    let far = |a: &Picture| a.rgb().iter().zip(fine.rgb()).map(|(&a, &b)| u64::from(a.abs_diff(b))).sum::<u64>();
    assert!(far(&pictures[0]) > far(&pictures[1]) && far(&pictures[1]) > far(&pictures[2]), "more samples, less noise");
}

/// The border is drawn where it is near, by the pixel: at the tip of the set, which no pixel hits, a line appears.
#[test]
fn a_border_shows_what_is_thinner_than_a_pixel() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let draw = |border: &str| {
        let (name, mut oat) = (file(border), Command::new(env!("CARGO_BIN_EXE_oat")));
        oat.args(["draw", "--center=-1.9,1e-4", "--span=0.1", "--size=41x31", "--samples=1", "--palette=ink"]);
        assert!(oat.args(["--border", border, "-o", &name]).status().unwrap().success());
        Picture::from_png(&std::fs::read(name).unwrap()).unwrap()
    };
    let ((none, plain), (dark, scene), (bright, _)) = (draw("none"), draw("dark"), draw("bright"));
    assert_eq!((plain.unwrap().colouring().border, scene.unwrap().colouring().border), (Border::None, Border::Dark));
    let light = |picture: &Picture, row: usize| {
        picture.rgb()[row * 41 * 3..][..41 * 3].iter().map(|&v| u64::from(v)).sum::<u64>()
    };
    assert!(light(&dark, 15) < light(&none, 15) && light(&none, 15) < light(&bright, 15));
    assert_eq!((light(&dark, 0), light(&bright, 0)), (light(&none, 0), light(&none, 0)), "far away nothing changes");
    let verify =
        |name: &str| Command::new(env!("CARGO_BIN_EXE_oat")).args(["verify", &file(name)]).status().unwrap().code();
    std::fs::rename(file("dark"), file("dark.png")).unwrap();
    assert_eq!(verify("dark.png"), Some(0));
}

#[test]
fn the_same_scene_gives_the_same_png_bytes_on_any_number_of_threads() {
    let draw = |threads: &str| {
        let mut oat = Command::new(env!("CARGO_BIN_EXE_oat"));
        oat.args(["draw", "--at", "dragon", "--width", "320", "--height", "240", "--threads", threads, "-o", "-"]);
        oat.output().unwrap().stdout
    };
    let one = draw("1");
    assert!(one.starts_with(b"\x89PNG"));
    assert_eq!(one, draw("3"));
}
