//! Owners, for administrators: invite, make links, give roles, switch off.

use askama::Template;
use axum::extract::{Path, State};
use serde::Deserialize;

use crate::catalog::owner::link::{self, SetupLink};
use crate::catalog::owner::manage::{self, ListedOwner};
use crate::catalog::owner::{Owner, Role};
use crate::portal::Site;
use crate::portal::confirmed::{Confirmed, Guarded};
use crate::portal::error::PageError;
use crate::portal::flash::Flash;
use crate::portal::form::Problems;
use crate::portal::page::{self, Answer, Frame, Section};
use crate::portal::visitor::{Administrator, SignedIn, Visitor};

const PATH: &str = "/admin/owners";

#[derive(Template)]
#[template(path = "admin/owners.html")]
struct Owners<'a> {
    frame: Frame,
    me: &'a str,
    owners: Vec<ListedOwner>,
    /// The name in the invitation, as it was typed.
    typed: &'a str,
    problems: Problems,
}

impl<'a> Owners<'a> {
    async fn of(
        site: &Site,
        me: &'a SignedIn,
        typed: &'a str,
        problems: Problems,
    ) -> Result<Self, PageError> {
        let owners = manage::list(&site.db).await?;
        Ok(Self { frame: me.frame(Section::Owners), me: &me.owner.id, owners, typed, problems })
    }
}

pub async fn show(State(site): State<Site>, Administrator(me): Administrator) -> Answer {
    page::ok(&Owners::of(&site, &me, "", Problems::none()).await?)
}

#[derive(Deserialize)]
pub struct Invitation {
    name: String,
}

impl Guarded for Invitation {
    const DOES: &'static str =
        "make an account for another owner, and a link that lets whoever holds it in";
    const SECTION: Section = Section::Owners;
}

pub async fn invite(
    State(site): State<Site>,
    visitor: Visitor,
    Confirmed { me: Administrator(me), typed }: Confirmed<Invitation, Administrator>,
) -> Answer {
    match manage::invite(&site.db, &me.actor(), &typed.name).await {
        Ok(link) => {
            let text = format!("{} is invited.", typed.name.trim());
            hand_over(&site, &me, &visitor, &text, &link).await
        }
        Err(error) => {
            let problems = Problems::from_error(error)?;
            page::unprocessable(&Owners::of(&site, &me, &typed.name, problems).await?)
        }
    }
}

#[derive(Deserialize)]
pub struct NewLink {}

impl Guarded for NewLink {
    const DOES: &'static str =
        "make a link by which whoever holds it becomes that owner, and stop earlier ones";
    const SECTION: Section = Section::Owners;
}

pub async fn link(
    State(site): State<Site>,
    visitor: Visitor,
    Path(id): Path<String>,
    Confirmed { me: Administrator(me), .. }: Confirmed<NewLink, Administrator>,
) -> Answer {
    let owner = manage::get(&site.db, &id).await?;
    let link = link::renew(&site.db, &me.actor(), &owner).await?;
    let text = format!("{} has a new link; earlier ones stopped working.", owner.name);
    hand_over(&site, &me, &visitor, &text, &link).await
}

/// There is no mail: whoever made the link passes it on.
async fn hand_over(
    site: &Site,
    me: &SignedIn,
    visitor: &Visitor,
    text: &str,
    link: &SetupLink,
) -> Answer {
    let base = visitor.base_url.as_str();
    let warning = match visitor.base_url.is_confirmed() {
        true => "",
        false => {
            " It begins with the address that this proxy listens on, which may not work elsewhere: \
             start the proxy with --public-url."
        }
    };
    let text = format!(
        "{text} Hand this link over yourself: it works once, within the hour, and is shown only now.{warning}"
    );
    me.done(site, PATH, Flash::done(text).with_secret(link.url(base))).await
}

#[derive(Deserialize)]
pub struct NewRole {
    role: String,
}

impl Guarded for NewRole {
    const DOES: &'static str = "change what that owner may do here";
    const SECTION: Section = Section::Owners;
}

#[derive(Template)]
#[template(path = "admin/owner_role.html")]
struct AskRole {
    frame: Frame,
    owner: Owner,
    is_me: bool,
}

pub async fn ask_role(
    State(site): State<Site>,
    Administrator(me): Administrator,
    Path(id): Path<String>,
) -> Answer {
    let owner = manage::get(&site.db, &id).await?;
    let (frame, is_me) = (me.frame(Section::Owners), owner.id == me.owner.id);
    page::ok(&AskRole { frame, owner, is_me })
}

pub async fn set_role(
    State(site): State<Site>,
    Path(id): Path<String>,
    Confirmed { me: Administrator(me), typed }: Confirmed<NewRole, Administrator>,
) -> Answer {
    let owner = manage::get(&site.db, &id).await?;
    let roles = [Role::Owner, Role::Administrator];
    let role = roles.into_iter().find(|role| role.as_str() == typed.role);
    let role = role.ok_or(PageError::BadForm)?;
    manage::set_role(&site.db, &me.actor(), &owner, role).await?;
    let text = match role {
        Role::Administrator => format!("{} is an administrator now.", owner.name),
        Role::Owner => format!("{} is no administrator any more.", owner.name),
    };
    // Who gave the role up themselves may not see the list any more.
    let path = if owner.id == me.owner.id { "/admin" } else { PATH };
    me.done(&site, path, Flash::done(text)).await
}

#[derive(Template)]
#[template(path = "admin/owner_deactivate.html")]
struct Deactivate {
    frame: Frame,
    owner: Owner,
}

pub async fn ask_deactivate(
    State(site): State<Site>,
    Administrator(me): Administrator,
    Path(id): Path<String>,
) -> Answer {
    let owner = manage::get(&site.db, &id).await?;
    page::ok(&Deactivate { frame: me.frame(Section::Owners), owner })
}

#[derive(Deserialize)]
pub struct Deactivation {}

impl Guarded for Deactivation {
    const DOES: &'static str = "sign that owner out everywhere and let them in no more";
    const SECTION: Section = Section::Owners;
}

pub async fn deactivate(
    State(site): State<Site>,
    Path(id): Path<String>,
    Confirmed { me: Administrator(me), .. }: Confirmed<Deactivation, Administrator>,
) -> Answer {
    let owner = manage::get(&site.db, &id).await?;
    if owner.id == me.owner.id {
        let reason = "you would lock yourself out; ask another administrator";
        return Err(PageError::Refused(reason.to_owned()));
    }
    manage::set_active(&site.db, &me.actor(), &owner, false).await?;
    let text = format!("{} is deactivated and signed out everywhere.", owner.name);
    me.done(&site, PATH, Flash::done(text)).await
}

#[derive(Deserialize)]
pub struct Reactivation {}

impl Guarded for Reactivation {
    const DOES: &'static str = "let that owner in again";
    const SECTION: Section = Section::Owners;
}

pub async fn reactivate(
    State(site): State<Site>,
    Path(id): Path<String>,
    Confirmed { me: Administrator(me), .. }: Confirmed<Reactivation, Administrator>,
) -> Answer {
    let owner = manage::get(&site.db, &id).await?;
    manage::set_active(&site.db, &me.actor(), &owner, true).await?;
    let text = format!("{} is active again and can sign in.", owner.name);
    me.done(&site, PATH, Flash::done(text)).await
}
