//! What the shipped rules say of URLs that programs really ask for.

use super::super::Rules;
use super::*;
use crate::target::{Form, Resource, Target};

/// What becomes of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Immutable,
    Revalidate,
    Standard,
}

fn class_of(rules: &Rules, url: &str) -> (Class, Option<String>) {
    let target = Target::parse(url).unwrap();
    let effect = rules.effect(&Resource {
        form: Form::Forward,
        upstreams: vec![target.clone()],
        as_asked: url.to_owned(),
        target,
        cdn: false,
    });
    let class = match effect.adjust {
        adjust if adjust == immutable() => Class::Immutable,
        adjust if adjust == revalidated() => Class::Revalidate,
        adjust if adjust == Adjust::default() => Class::Standard,
        adjust => panic!("{url}: {adjust:?}"),
    };
    (class, effect.rule.clone())
}

/// A class and a URL a line; `#` begins a comment. All lines that are wrong are named, not just the first.
fn check(table: &str) {
    let rules = Rules::compile(shipped()).unwrap();
    let lines = table.lines().map(str::trim);
    let rows = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let wrong: Vec<String> = rows
        .filter_map(|row| {
            let (word, url) = row.split_once(' ').unwrap();
            let expected = match word {
                "immutable" => Class::Immutable,
                "revalidate" => Class::Revalidate,
                "standard" => Class::Standard,
                other => panic!("{other}"),
            };
            let (class, rule) = class_of(&rules, url.trim());
            (class != expected).then(|| format!("{row}: {class:?} by {rule:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn packages_of_distributions() {
    check(
        "
        # apt
        revalidate http://deb.debian.org/debian/dists/bookworm/InRelease
        revalidate http://deb.debian.org/debian/dists/bookworm/Release.gpg
        revalidate http://deb.debian.org/debian/dists/bookworm/main/binary-amd64/Packages.xz
        revalidate http://deb.debian.org/debian/dists/sid/main/Contents-amd64.gz
        revalidate http://deb.debian.org/debian/dists/bookworm/main/i18n/Translation-en.bz2
        revalidate http://deb.debian.org/debian/dists/bookworm/main/binary-amd64/Packages.diff/Index
        revalidate http://security.debian.org/debian-security/dists/bookworm-security/main/source/Sources.xz
        revalidate http://deb.debian.org/debian/dists/bookworm/main/installer-amd64/current/images/netboot/mini.iso
        revalidate https://download.docker.com/linux/ubuntu/dists/jammy/stable/binary-amd64/Packages.gz
        revalidate https://packages.example.org/flat/Packages.gz
        revalidate https://packages.example.org/flat/Release
        immutable  http://deb.debian.org/debian/dists/bookworm/main/binary-amd64/by-hash/SHA256/5e7a2b1d0f6c4e8a9b3d2c1f0e5a4b7c8d9e6f1a2b3c4d5e6f7a8b9c0d1e2f3a
        immutable  http://archive.ubuntu.com/ubuntu/dists/noble/main/cnf/by-hash/MD5Sum/0cc175b9c0f1b6a831c399e269772661
        immutable  http://deb.debian.org/debian/pool/main/c/curl/curl_7.88.1-10+deb12u5_amd64.deb
        immutable  http://deb.debian.org/debian/pool/main/h/hello/hello_2.10.orig.tar.gz
        immutable  http://deb.debian.org/debian/pool/main/g/gcc-12/libstdc%2b%2b6_12.2.0-14_amd64.deb
        immutable  http://archive.ubuntu.com/ubuntu/pool/universe/n/neovim/neovim_0.9.5-6ubuntu2_amd64.deb
        immutable  http://deb.debian.org/debian/pool/main/d/debian-installer/debian-installer_20230607.tar.gz
        standard   http://deb.debian.org/debian/pool/main/h/hello/hello_2.10-3.dsc
        standard   http://deb.debian.org/debian/ls-lR.gz
        # dnf, zypper
        revalidate https://dl.fedoraproject.org/pub/fedora/linux/releases/40/Everything/x86_64/os/repodata/repomd.xml
        revalidate https://repo.openeuler.org/openEuler-24.03-LTS/OS/x86_64/repodata/0a1b2c-primary.xml.gz
        revalidate https://download.opensuse.org/tumbleweed/repo/oss/repodata/repomd.xml.asc
        immutable  https://dl.fedoraproject.org/pub/fedora/linux/releases/40/Everything/x86_64/os/Packages/c/curl-8.6.0-7.fc40.x86_64.rpm
        immutable  https://repo.openeuler.org/openEuler-24.03-LTS/OS/x86_64/Packages/bash-5.2.15-9.oe2403.x86_64.rpm
        immutable  https://repo.almalinux.org/almalinux/9/BaseOS/x86_64/os/Packages/kernel-5.14.0-427.13.1.el9_4.x86_64.rpm
        standard   https://download.docker.com/linux/fedora/docker-ce.repo
        standard   https://mirrors.fedoraproject.org/metalink?repo=fedora-40&arch=x86_64
        standard   https://dl.fedoraproject.org/pub/epel/epel-release-latest-9.noarch.rpm
        # apk
        revalidate https://dl-cdn.alpinelinux.org/alpine/v3.20/main/x86_64/APKINDEX.tar.gz
        revalidate https://dl-cdn.alpinelinux.org/alpine/edge/community/aarch64/APKINDEX.tar.gz
        immutable  https://dl-cdn.alpinelinux.org/alpine/v3.20/main/x86_64/busybox-1.36.1-r29.apk
        immutable  https://dl-cdn.alpinelinux.org/alpine/v3.20/releases/x86_64/alpine-minirootfs-3.20.0-x86_64.tar.gz
        # pacman
        revalidate https://geo.mirror.pkgbuild.com/core/os/x86_64/core.db
        revalidate https://geo.mirror.pkgbuild.com/extra/os/x86_64/extra.files
        revalidate https://geo.mirror.pkgbuild.com/core/os/x86_64/core.db.tar.gz
        revalidate https://geo.mirror.pkgbuild.com/core/os/x86_64/core.db.sig
        immutable  https://geo.mirror.pkgbuild.com/core/os/x86_64/linux-6.9.3.arch1-1-x86_64.pkg.tar.zst
        immutable  https://archive.archlinux.org/packages/z/zlib/zlib-1:1.3.1-2-x86_64.pkg.tar.zst
        standard   https://geo.mirror.pkgbuild.com/core/os/x86_64/linux-6.9.3.arch1-1-x86_64.pkg.tar.zst.sig
        standard   https://geo.mirror.pkgbuild.com/iso/latest/archlinux-x86_64.iso
        immutable  https://geo.mirror.pkgbuild.com/iso/2024.06.01/archlinux-2024.06.01-x86_64.iso
        # Others
        revalidate https://repo-default.voidlinux.org/current/x86_64-repodata
        revalidate https://downloads.openwrt.org/releases/23.05.3/packages/x86_64/base/Packages.gz
        immutable  https://downloads.openwrt.org/releases/23.05.3/packages/x86_64/base/libubox20230523_2023-05-23-75a3b870-1_x86_64.ipk
        standard   https://downloads.openwrt.org/snapshots/targets/x86/64/openwrt-x86-64-rootfs-23.tar.gz
        immutable  https://cache.nixos.org/nar/1b0csljj5zgbbs4jd4cgfbbkqzgv4xvb3sjlhnrf6rdh5kfzzx5j.nar.xz
        revalidate https://mirrors.slackware.com/slackware/slackware64-15.0/PACKAGES.TXT
        ",
    );
}

#[test]
fn packages_of_languages() {
    check(
        "
        # PyPI
        revalidate https://pypi.org/simple/
        revalidate https://pypi.org/simple/requests/
        revalidate https://pypi.org/simple/zope.interface/
        revalidate https://mirrors.aliyun.com/pypi/simple/numpy/
        revalidate https://devpi.example.org/root/pypi/+simple/flask/
        revalidate https://pypi.org/pypi/requests/json
        revalidate https://pypi.org/pypi/requests/2.32.0/json
        immutable  https://files.pythonhosted.org/packages/f9/9b/335f9764261e915ed497fcdeb11df5dfd6f7bf257d4a6a2a686d80da4d54/requests-2.32.3-py3-none-any.whl
        immutable  https://files.pythonhosted.org/packages/f9/9b/335f/requests-2.32.3-py3-none-any.whl.metadata
        immutable  https://files.pythonhosted.org/packages/63/70/2bf7780ad2d390a8d301ad0b550f1581eadbd9a20f896afe06353c2a2913/requests-2.32.3.tar.gz
        standard   https://download.pytorch.org/whl/torch_stable.html
        # npm
        revalidate https://registry.npmjs.org/lodash
        revalidate https://registry.npmjs.org/@babel%2fcore
        revalidate https://registry.npmjs.org/@babel/core
        revalidate https://registry.yarnpkg.com/react
        revalidate https://registry.npmjs.org/-/package/lodash/dist-tags
        immutable  https://registry.npmjs.org/lodash/-/lodash-4.17.21.tgz
        immutable  https://registry.npmjs.org/@babel/core/-/core-7.24.7.tgz
        standard   https://registry.npmjs.org/lodash/4.17.21
        standard   https://registry.npmjs.org/lodash/latest
        standard   https://nodejs.org/dist/latest/node-v22.2.0-linux-x64.tar.xz
        standard   https://nodejs.org/dist/latest-v20.x/SHASUMS256.txt
        immutable  https://nodejs.org/dist/v20.14.0/node-v20.14.0-linux-x64.tar.xz
        # cargo
        revalidate https://index.crates.io/se/rd/serde
        revalidate https://index.crates.io/config.json
        immutable  https://static.crates.io/crates/serde/serde-1.0.203.crate
        immutable  https://crates.io/api/v1/crates/serde/1.0.203/download
        standard   https://crates.io/api/v1/crates/serde
        # Maven
        immutable  https://repo1.maven.org/maven2/junit/junit/4.13.2/junit-4.13.2.jar
        immutable  https://repo1.maven.org/maven2/junit/junit/4.13.2/junit-4.13.2.pom
        immutable  https://repo1.maven.org/maven2/junit/junit/4.13.2/junit-4.13.2.pom.sha1
        immutable  https://dl.google.com/android/maven2/androidx/core/core/1.13.1/core-1.13.1.aar
        revalidate https://repo1.maven.org/maven2/junit/junit/maven-metadata.xml
        revalidate https://repo1.maven.org/maven2/junit/junit/maven-metadata.xml.sha1
        revalidate https://repository.apache.org/snapshots/org/x/y/2.0-SNAPSHOT/y-2.0-20240601.101112-3.jar
        revalidate https://nexus.example.org/repository/all/org/x/y/2.0-SNAPSHOT/y-2.0-SNAPSHOT.jar
        standard   https://repo1.maven.org/maven2/junit/junit/
        # conda
        revalidate https://conda.anaconda.org/conda-forge/linux-64/repodata.json.zst
        revalidate https://repo.anaconda.com/pkgs/main/noarch/current_repodata.json
        revalidate https://conda.anaconda.org/conda-forge/noarch/repodata.json
        immutable  https://repo.anaconda.com/pkgs/main/linux-64/numpy-1.26.4-py312hc5e2394_0.conda
        immutable  https://conda.anaconda.org/conda-forge/linux-64/zlib-1.2.13-h166bdaf_4.tar.bz2
        standard   https://repo.anaconda.com/miniconda/Miniconda3-latest-Linux-x86_64.sh
        # Go
        revalidate https://proxy.golang.org/golang.org/x/net/@v/list
        revalidate https://proxy.golang.org/golang.org/x/net/@latest
        immutable  https://proxy.golang.org/golang.org/x/net/@v/v0.26.0.zip
        immutable  https://proxy.golang.org/golang.org/x/net/@v/v0.26.0.mod
        immutable  https://proxy.golang.org/golang.org/x/net/@v/v0.26.0.info
        immutable  https://proxy.golang.org/rsc.io/pdf/@v/v0.0.0-20180525153152-1d34785eb915.mod
        standard   https://proxy.golang.org/golang.org/x/net/@v/v0.info
        standard   https://proxy.golang.org/golang.org/x/net/@v/master.info
        immutable  https://go.dev/dl/go1.22.4.linux-amd64.tar.gz
        # CRAN
        revalidate https://cran.r-project.org/src/contrib/PACKAGES.rds
        revalidate https://cloud.r-project.org/bin/windows/contrib/4.4/PACKAGES.gz
        immutable  https://cran.r-project.org/src/contrib/ggplot2_3.5.1.tar.gz
        immutable  https://cran.r-project.org/src/contrib/Archive/dplyr/dplyr_1.0.10.tar.gz
        # RubyGems
        revalidate https://rubygems.org/specs.4.8.gz
        revalidate https://rubygems.org/latest_specs.4.8.gz
        revalidate https://index.rubygems.org/info/rails
        revalidate https://index.rubygems.org/versions
        immutable  https://rubygems.org/gems/rails-7.1.3.4.gem
        immutable  https://rubygems.org/downloads/nokogiri-1.16.5-x86_64-linux.gem
        # NuGet
        immutable  https://api.nuget.org/v3-flatcontainer/newtonsoft.json/13.0.3/newtonsoft.json.13.0.3.nupkg
        standard   https://api.nuget.org/v3/index.json
        ",
    );
}

#[test]
fn sources_and_releases() {
    check(
        "
        # GitHub, GitLab
        immutable  https://github.com/madler/zlib/archive/refs/tags/v1.3.1.tar.gz
        immutable  https://github.com/madler/zlib/archive/v1.3.1.tar.gz
        immutable  https://github.com/madler/zlib/archive/51b7f2abdade71cd9bb0e7a373ef2610ec6f9daf.tar.gz
        immutable  https://github.com/madler/zlib/archive/51b7f2a.zip
        immutable  https://github.com/openssl/openssl/releases/download/openssl-3.3.1/openssl-3.3.1.tar.gz
        immutable  https://github.com/cli/cli/releases/download/v2.50.0/gh_2.50.0_linux_amd64.deb
        immutable  https://github.com/docker/buildx/releases/download/v0.15.0/buildx-linux-amd64.tar.gz
        standard   https://github.com/docker/compose/releases/download/v2.27.1/docker-compose-linux-x86_64
        standard   https://github.com/cli/cli/releases/latest/download/gh_2.50.0_linux_amd64.deb
        standard   https://github.com/neovim/neovim/releases/download/nightly/nvim-linux64.tar.gz
        standard   https://github.com/x/y/releases/download/nightly-2024.06/tool-1.0.tar.gz
        standard   https://github.com/madler/zlib/archive/refs/heads/develop.tar.gz
        standard   https://github.com/x/y/archive/refs/heads/release-1.2.tar.gz
        standard   https://github.com/x/y/archive/refs/heads/main.tar.gz
        standard   https://github.com/x/y/archive/master.zip
        standard   https://github.com/x/y/archive/HEAD.zip
        standard   https://codeload.github.com/x/y/tar.gz/refs/heads/main
        standard   https://codeload.github.com/x/y/zip/main
        standard   https://github.com/x/y/raw/main/data-1.0.zip
        standard   https://raw.githubusercontent.com/x/y/main/dist/tool-1.0.tar.gz
        standard   https://raw.githubusercontent.com/x/y/v1/dist/tool-1.0.tar.gz
        standard   https://github.com/x/y/info/refs?service=git-upload-pack
        immutable  https://gitlab.com/x/y/-/archive/v1.2/y-v1.2.tar.bz2
        standard   https://gitlab.com/x/y/-/archive/main/y-main.tar.bz2
        standard   https://gitlab.com/x/y2/-/archive/master/y2-master.tar.gz
        # kernel.org
        immutable  https://cdn.kernel.org/pub/linux/kernel/v6.x/linux-6.9.4.tar.xz
        immutable  https://cdn.kernel.org/pub/linux/kernel/v6.x/patch-6.9.4.xz
        standard   https://cdn.kernel.org/pub/linux/kernel/v6.x/linux-6.9.4.tar.sign
        standard   https://cdn.kernel.org/pub/linux/kernel/v6.x/sha256sums.asc
        standard   https://cdn.kernel.org/pub/linux/kernel/v6.x/ChangeLog-6.9.4
        standard   https://git.kernel.org/torvalds/t/linux-master.tar.gz
        standard   https://www.kernel.org/finger_banner
        # SourceForge
        immutable  https://downloads.sourceforge.net/project/libpng/libpng16/1.6.43/libpng-1.6.43.tar.xz
        immutable  https://downloads.sourceforge.net/libpng/libpng-1.6.43.tar.xz?use_mirror=autoselect
        immutable  https://sourceforge.net/projects/libpng/files/libpng16/1.6.43/libpng-1.6.43.tar.xz/download
        immutable  https://sourceforge.net/projects/x/files/x-1.0.zip/download
        standard   https://sourceforge.net/projects/libpng/files/latest/download
        standard   https://sourceforge.net/projects/x/files/README.txt/download
        # gnu.org
        immutable  https://ftp.gnu.org/gnu/bash/bash-5.2.21.tar.gz
        immutable  https://ftpmirror.gnu.org/gcc/gcc-14.1.0/gcc-14.1.0.tar.xz
        standard   https://ftp.gnu.org/gnu/bash/bash-5.2.21.tar.gz.sig
        standard   https://ftp.gnu.org/gnu/parallel/parallel-latest.tar.bz2
        standard   https://ftp.gnu.org/gnu/bash/
        # Names that move, with and without digits
        standard   https://example.org/app-latest.tar.gz
        standard   https://example.org/node-latest.tar.gz
        standard   https://example.org/app-latest-1.2.tar.gz
        standard   https://example.org/latest.tar.gz
        standard   https://wordpress.org/latest.zip
        standard   https://nodejs.org/dist/latest-v20.x/node-v20.14.0.tar.xz
        immutable  https://registry.npmjs.org/task-master-ai/-/task-master-ai-0.16.2.tgz
        immutable  https://registry.npmjs.org/jest-snapshot/-/jest-snapshot-29.7.0.tgz
        standard   https://example.org/app-2.0-master.zip
        standard   https://example.org/main.tar.gz
        standard   https://example.org/snapshot/app-2.0.tar.gz
        standard   https://example.org/nightly/app-20240601.zip
        standard   https://example.org/app_2.0.nightly.zip
        standard   https://cdimage.debian.org/debian-cd/current/amd64/iso-cd/debian-12.5.0-amd64-netinst.iso
        immutable  https://cdimage.debian.org/debian-cd/12.5.0/amd64/iso-cd/debian-12.5.0-amd64-netinst.iso
        # Neither a version nor an archive
        standard   https://example.org/tool-x86_64.tar.bz2
        standard   https://example.org/tool-linux-amd64.zip
        standard   https://example.org/v1.2.3/tool.zip
        standard   https://example.org/tool.zip?version=1.2.3
        standard   https://example.org/get.php?file=tool-1.2.3.zip
        standard   https://example.org/report-2024.html
        standard   https://example.org/
        immutable  https://example.org/Tool-1.2.ZIP
        immutable  https://example.org/headers-1.0.tar.gz
        immutable  https://example.org/remaining-1.0.tar.gz
        ",
    );
}

#[test]
fn every_shipped_rule_has_a_name_of_its_own_and_never_stores_against_the_standard() {
    for spec in shipped() {
        assert!(!spec.name.is_empty());
        assert_eq!(
            spec.effect.adjust.overrides,
            crate::freshness::Overrides::default()
        );
        assert!(
            spec.response.is_empty(),
            "{}: every request would be looked at twice",
            spec.name
        );
    }
    assert!(Rules::compile(shipped()).is_ok());
}
