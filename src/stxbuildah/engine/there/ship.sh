# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# The other machine's side of stxb ship: handed to sh there by ssh, once a step; nothing of it stays. POSIX sh and its
# utilities, sha256sum, and what takes the images. Arguments: STEP ENGINE SUDO NAMESPACE, then those of the step.
#
# Blobs lie under their SHA-256 in blobs/; one that is not whole, or was not looked at yet, ends in .part.
set -u
umask 077
LC_ALL=C
export LC_ALL
folder=${XDG_CACHE_HOME:-$HOME/.cache}/stxb-ship
blobs=$folder/blobs
step=$1 engine=$2 sudo=$3 namespace=$4
shift 4

has() { command -v "$1" >/dev/null 2>&1; }

fail() {
  echo "$2" >&2
  exit "$1"
}

# With the umask that engines are used to; ours is for what lies in the cache.
as_asked() {
  (
    umask 022
    if [ "$sudo" = yes ]; then sudo -n -- "$@"; else "$@"; fi
  )
}

size_of() { if [ -f "$1" ]; then wc -c <"$1" | tr -d ' '; else echo 0; fi; }

digest_of() { sha256sum <"$1" | cut -c 1-64; }

# A kubelet's images are containerd's, also where docker is installed beside it; elsewhere ctr comes with docker.
find_engine() {
  if has podman; then engine=podman
  elif has ctr && has kubelet; then engine=containerd
  elif has docker; then engine=docker
  elif has ctr; then engine=containerd
  else fail 41 'neither podman nor docker nor ctr is on PATH'
  fi
}

list_images() {
  ids=$(as_asked "$1" images --all --quiet --no-trunc) || fail 42 "$1 cannot be used"
  [ -n "$ids" ] || return 0
  # One that is removed meanwhile, or damaged, is only one that is not known.
  # shellcheck disable=SC2086 # IDs, one a word
  as_asked "$1" image inspect --format \
    'image {{.Id}}{{range .RepoTags}} name:{{.}}{{end}}{{range .RootFS.Layers}} layer:{{.}}{{end}}' $ids || true
}

ask() {
  has sha256sum || fail 43 'sha256sum is not on PATH'
  if [ -z "$engine" ]; then find_engine; fi
  echo "engine $engine"
  for tool in gzip zstd; do
    if has "$tool"; then echo "tool $tool"; fi
  done
  case $engine in
    containerd)
      has ctr || fail 41 'ctr is not on PATH'
      content=$(as_asked ctr --namespace "$namespace" content ls -q) || fail 42 'ctr cannot be used'
      printf '%s\n' "$content" | sed -n 's/^sha256:/content &/p' ;;
    *)
      has "$engine" || fail 41 "$engine is not on PATH"
      list_images "$engine" ;;
  esac
  for file in "$blobs"/*; do
    if [ -f "$file" ]; then
      case $file in
        *.part) echo "part $(basename "$file" .part) $(size_of "$file") $(digest_of "$file")" ;;
        *) echo "blob $(basename "$file") $(size_of "$file")" ;;
      esac
    fi
  done
  echo end
}

unpacked() {
  case $1 in
    gzip) gzip -dc ;;
    zstd) zstd -dcq ;;
    *) cat ;;
  esac
}

# put DIGEST BEGIN SIZE PACKING: the bytes of a blob from BEGIN on.
put() {
  mkdir -p "$blobs" || exit 1
  part=$blobs/$1.part
  [ "$(size_of "$part")" = "$2" ] || fail 44 "another run sends $1, too"
  unpacked "$4" >>"$part" || exit 1
  if [ "$(size_of "$part")" -lt "$3" ]; then fail 44 "of $1 not all bytes came"; fi
  if [ "$(digest_of "$part")" = "$1" ]; then
    mv "$part" "$blobs/$1" && echo kept
  else
    rm -f "$part" && echo damaged
  fi
}

new_folder() {
  here=$folder/import.$$
  trap 'rm -rf "$here"' EXIT
  trap 'exit 1' HUP INT TERM
  rm -rf "$here"
  mkdir -p "$here" || exit 1
}

# podman NAME ID BLOB...: the manifest comes in. Of a folder of blobs, podman takes what its own store lacks.
into_podman() {
  new_folder
  name=$1 id=$2
  shift
  cat >"$here/manifest.json" || exit 1
  for blob in "$@"; do
    if [ -f "$blobs/$blob" ]; then ln -s "$blobs/$blob" "$here/$blob" || exit 1; fi
  done
  found=$(as_asked podman pull --quiet "dir:$here") || exit 1
  [ "$found" = "$id" ] || fail 45 "podman says that the image is $found, and it should be $id"
  as_asked podman tag "$id" "$name"
}

# Every layer is a block of header, its bytes, and the zeros that fill its last block; the rest of the archive follows.
archive() {
  number=0
  for layer in "$@"; do
    dd if="$here/frame" bs=512 skip="$number" count=1 2>/dev/null
    cat "$blobs/${layer%:*}"
    zeros=${layer#*:}
    if [ "$zeros" != 0 ]; then dd if=/dev/zero bs="$zeros" count=1 2>/dev/null; fi
    number=$((number + 1))
  done
  dd if="$here/frame" bs=512 skip="$number" 2>/dev/null
}

# archive DIGEST:ZEROS...: the archive without its layers comes in.
into_archive() {
  new_folder
  cat >"$here/frame" || exit 1
  for layer in "$@"; do
    [ -f "$blobs/${layer%:*}" ] || fail 44 "another run removed ${layer%:*}"
  done
  case $engine in
    docker) archive "$@" | as_asked docker load ;;
    containerd) archive "$@" | as_asked ctr --namespace "$namespace" images import - ;;
  esac
}

# What was used goes, and what nobody came back for in a month.
forget() {
  for blob in "$@"; do rm -f "$blobs/$blob"; done
  find "$blobs" -type f -mtime +30 -exec rm -f {} + 2>/dev/null
  find "$folder"/import.* -prune -mtime +1 -exec rm -rf {} + 2>/dev/null
  rmdir "$blobs" "$folder" 2>/dev/null
  return 0
}

case $step in
  hold) echo ready && exec cat >/dev/null ;;
  ask) ask ;;
  put) put "$@" ;;
  podman) into_podman "$@" ;;
  archive) into_archive "$@" ;;
  tag) as_asked "$engine" tag "$@" ;;
  forget) forget "$@" ;;
esac
