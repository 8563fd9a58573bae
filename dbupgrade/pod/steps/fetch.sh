# Takes the folder of migrations out of an image, and atlas out of another one if ATLAS_IMAGE is set.
# Environment: IMAGE, FOLDER, ATLAS_IMAGE, INSECURE (true for plain HTTP), HOME.
# `said` and `of` are what the registry said, and of which image: IMAGE or ATLAS_IMAGE. Its last words go to the termination message. Any sh and tar (those of busybox, for example) and crane are enough.
# shellcheck disable=SC2153 # they are not misspelt
set -eu
export LC_ALL=C
fail() { printf 'error=%s\nsaid=%s\nof=%s\n' "$1" "${3:-}" "${4:-}" > /dev/termination-log; echo "$2" >&2; exit 1; }

case "$(uname -m)" in
  x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; armv7*) arch=arm/v7 ;; i?86) arch=386 ;; *) arch=$(uname -m) ;;
esac
insecure=; [ "$INSECURE" != true ] || insecure=--insecure

# Finds the image of a variable with each pull secret in turn, then without any.
locate() {
  for config in /pull-secrets/* /anonymous; do
    export DOCKER_CONFIG="$config"
    if reference=$(crane digest $insecure --platform "linux/$arch" --full-ref "$2" 2>> "$HOME/crane"); then return; fi
    reference=
  done
  cat "$HOME/crane" >&2
  for word in 'MANIFEST_UNKNOWN' 'NAME_UNKNOWN' '404 Not Found' 'no child with platform' 'TOOMANYREQUESTS' 'no such host' 'connection refused' 'i/o timeout' 'x509:' 'DENIED' 'UNAUTHORIZED' '401 Unauthorized' '403 Forbidden'; do
    if grep -qF "$word" "$HOME/crane"; then fail FetchFailed "$2 could not be read, with any of the pull secrets" "$word" "$1"; fi
  done
  fail FetchFailed "$2 could not be read, with any of the pull secrets" "" "$1"
}

files=/work/files layer=/work/layer inner=${FOLDER#/}
mkdir -p "$files"
# A pipe would hide a failure of crane, so its exit code goes through a file.
image() {
  rm -f "$HOME/failed"
  crane export $insecure --platform "linux/$arch" "$reference" - || echo failed > "$HOME/failed"
}
whole() { [ ! -e "$HOME/failed" ] || fail FetchFailed "crane could not read the image"; }
unpack() { to=$1; shift; tar -x --no-same-permissions -f - -C "$to" -- "$@" 2> "$HOME/tar"; }

if [ -n "${ATLAS_IMAGE:-}" ]; then
  locate ATLAS_IMAGE "$ATLAS_IMAGE"
  image | unpack /atlas atlas usr/local/bin/atlas usr/bin/atlas bin/atlas || true # no image has all of them
  whole
  [ -n "$(find /atlas -name atlas -type f -perm -1)" ] || fail AtlasUnusable "$ATLAS_IMAGE contains no program atlas"
fi

locate IMAGE "$IMAGE"
readable() { chmod -R u+rwX "$1"; }
extract() {
  extracted=yes
  image | unpack "$files" "$inner" || extracted=no
  # busybox cannot write into a folder that it has just made read-only, but leaves alone one that is there.
  if [ "$extracted" = no ] && grep -q 'Permission denied' "$HOME/tar" && readable "$files"; then
    extracted=yes
    image | unpack "$files" "$inner" || extracted=no
  fi
  whole
  # busybox passes over what it may not make; other tars fail.
  ! grep -q "can't create node" "$HOME/tar" || fail FetchFailed "the folder contains a device: $(cat "$HOME/tar")"
  readable "$files"
}

# A path without `.`, `..` and empty parts.
cleaned() {
  left=$1/ result=
  while [ -n "$left" ]; do
    part=${left%%/*} left=${left#*/}
    case $part in
      '' | .) ;;
      ..) case $result in */*) result=${result%/*} ;; *) result= ;; esac ;;
      *) result=${result:+$result/}$part ;;
    esac
  done
  printf '%s' "$result"
}

# Where the way to the folder leads over the first symbolic link on it; the links of the image are in a file, as tar lists them.
detour() {
  way='' rest=$inner
  while [ "${rest#*/}" != "$rest" ]; do
    way=${way:+$way/}${rest%%/*} rest=${rest#*/}
    while IFS= read -r line; do
      case ${line%% -> *} in *" $way") ;; *) continue ;; esac
      target=${line##* -> }
      case $target in /*) ;; *) target=${way%"${way##*/}"}$target ;; esac
      cleaned "$target/$rest"
      return
    done < "$HOME/links"
  done
}

extract
for _ in 1 2 3 4 5 6 7 8; do
  if [ -e "$files/$inner" ] || [ -L "$files/$inner" ]; then break; fi
  if [ ! -e "$HOME/links" ]; then
    image | tar -tv -f - 2> "$HOME/tar" | { grep '^l' || true; } > "$HOME/links"
    whole
  fi
  next=$(detour)
  [ -n "$next" ] || break
  inner=$next
  extract
done

folder=$files/$inner
[ ! -L "$folder" ] || fail UnsafeLink "the folder is a symbolic link"
[ -d "$folder" ] || fail MissingFolder "the image does not contain the folder $FOLDER"
# A layer need not have an entry for the folder itself, which is what busybox misses then.
if [ "$extracted" = no ] && ! grep -qi 'not found in archive' "$HOME/tar"; then
  cat "$HOME/tar" >&2
  if grep -qiE 'hard ?link' "$HOME/tar"; then fail UnsafeLink "a hard link points outside of the folder"; fi
  fail FetchFailed "tar could not extract the folder"
fi

leaving=$(find "$folder" -type l | while IFS= read -r link; do
  target=$(readlink -f "$link" || true)
  case "$target" in "$folder"/*) ;; *) echo "$link" ;; esac
done)
[ -z "$leaving" ] || fail UnsafeLink "links that point outside of the folder: $leaving"

# crane gives a hard link the content that its target has in the newest layer, but it has that of the layer which made the
# link. So linked files are taken once more, each from the newest layer that has it. What is not a layer has none of them,
# nor has a layer that is compressed with something else than gzip. All is read to its end: else crane would fail, too.
layer() {
  rm -rf "$layer" "$HOME/failed" "$HOME/plain"
  # busybox leaves the mode of a folder alone that is there, and one of mode 555 could not be filled.
  mkdir -p "$layer/$inner"
  { crane blob $insecure "${reference%@*}@$1" || echo failed > "$HOME/failed"; } |
    if [ "$2" = gzip ]; then gunzip -c 2> /dev/null || { echo yes > "$HOME/plain"; cat > /dev/null; }; else cat; fi |
    { unpack "$layer" "$inner" "./$inner" || true; cat > /dev/null; }
  whole
  readable "$layer"
  find "$layer" -type l -exec rm -f {} + # one could lead to the pull secrets
}
take() {
  : > "$HOME/left"
  while IFS= read -r file; do
    from=$layer/$inner${file#"$folder"}
    if [ ! -f "$from" ]; then echo "$file" >> "$HOME/left"; continue; fi
    rm -f "$file"
    cp "$from" "$file"
  done < "$HOME/linked"
  mv "$HOME/left" "$HOME/linked"
}
find "$folder" -type f -links +1 > "$HOME/linked"
if [ -s "$HOME/linked" ]; then
  crane manifest $insecure "$reference" > "$HOME/manifest" || fail FetchFailed "crane could not read the manifest"
  grep -o '"digest"[[:space:]]*:[[:space:]]*"sha256:[0-9a-f]*"' "$HOME/manifest" | sed 's/.*"sha/sha/; s/"//; 1!G; h; $!d' > "$HOME/digests"
  while [ -s "$HOME/linked" ] && read -r digest; do
    layer "$digest" gzip
    [ ! -e "$HOME/plain" ] || layer "$digest" none
    take
  done < "$HOME/digests"
  [ ! -s "$HOME/linked" ] || fail UnsafeLink "hard links to files that no layer contains: $(cat "$HOME/linked")"
  rm -rf "$layer"
fi

if [ "$inner" != "${FOLDER#/}" ]; then
  mkdir -p "$files${FOLDER%/*}"
  mv "$folder" "$files$FOLDER"
  folder=$files$FOLDER
fi
size=$(du -sk "$folder" | cut -f1)
[ "$size" -le 262144 ] || fail FolderTooLarge "the folder is larger than 256 MiB: $size KiB"
last=$(find "$folder" -maxdepth 1 -name '*.sql' \( -type f -o -type l \) | sort | tail -n 1)
[ -n "$last" ] || fail EmptyFolder "the folder contains no *.sql files"

last=${last##*/}
printf '%s\n' "${reference##*@}" > /work/digest
printf 'digest=%s\nlast=%s\n' "${reference##*@}" "${last%%_*}" > /dev/termination-log
