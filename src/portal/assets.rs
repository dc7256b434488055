//! The style sheet, the script and the icon: inside the binary, under names
//! that change with what they hold, so that browsers keep them for good.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::error::PageError;
use crate::catalog::Digest;

pub struct Asset {
    name: String,
    kind: &'static str,
    text: &'static str,
}

pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("app", "css", "text/css; charset=utf-8", include_str!("../../assets/app.css"))
});

pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("app", "js", "text/javascript; charset=utf-8", include_str!("../../assets/app.js"))
});

pub static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("favicon", "svg", "image/svg+xml", include_str!("../../assets/favicon.svg"))
});

impl Asset {
    fn new(stem: &str, extension: &str, kind: &'static str, text: &'static str) -> Self {
        let digest = Digest::sha256(text.as_bytes()).hex();
        Self { name: format!("{stem}.{}.{extension}", &digest[..12]), kind, text }
    }

    /// Where a page finds it.
    pub fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// An asset by its name of today; an older one is gone.
pub async fn serve(Path(name): Path<String>) -> Result<Response, PageError> {
    let assets: [&Asset; 3] = [&STYLE, &SCRIPT, &ICON];
    let asset = assets.into_iter().find(|asset| asset.name == name).ok_or(PageError::NotFound)?;
    let headers =
        [(CONTENT_TYPE, asset.kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, asset.text).into_response())
}
