//! The pictures of 2015, bit for bit: five vectors computed with CPython 2.7 and 3.11.

use num_complex::Complex64;
use oat::fractal::{Formula, Palette, Scene, Stop, Viewport, draw};
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
            .args(["draw", "--formula", "julia", "-o", "-"])
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
