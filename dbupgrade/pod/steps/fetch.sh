# Takes the folder of migrations out of an image. Environment: IMAGE, FOLDER, INSECURE (true for plain HTTP), HOME.
# Its last words go to the termination message. Any sh and tar (those of busybox, for example) and crane are enough.
# shellcheck disable=SC2153 # they are not misspelt
set -eu
export LC_ALL=C
fail() { printf 'error=%s\nsaid=%s\n' "$1" "${3:-}" > /dev/termination-log; echo "$2" >&2; exit 1; }

case "$(uname -m)" in
  x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; armv7*) arch=arm/v7 ;; i?86) arch=386 ;; *) arch=$(uname -m) ;;
esac
insecure=; [ "$INSECURE" != true ] || insecure=--insecure

# Each pull secret in turn, then without any.
reference=
for config in /pull-secrets/* /anonymous; do
  export DOCKER_CONFIG="$config"
  if reference=$(crane digest $insecure --platform "linux/$arch" --full-ref "$IMAGE" 2>> "$HOME/crane"); then break; fi
  reference=
done
if [ -z "$reference" ]; then
  cat "$HOME/crane" >&2
  for word in 'MANIFEST_UNKNOWN' 'NAME_UNKNOWN' '404 Not Found' 'no child with platform' 'TOOMANYREQUESTS' 'no such host' 'connection refused' 'i/o timeout' 'x509:' 'DENIED' 'UNAUTHORIZED' '401 Unauthorized' '403 Forbidden'; do
    if grep -qF "$word" "$HOME/crane"; then fail FetchFailed "no credentials led to the image" "$word"; fi
  done
  fail FetchFailed "no credentials led to the image"
fi

# A pipe would hide a failure of crane, so its exit code goes through a file.
mkdir -p "/work/files"
extract() {
  rm -f "$HOME/export"
  { crane export $insecure --platform "linux/$arch" "$reference" - || echo failed > "$HOME/export"; } |
    tar -x --no-same-permissions -f - -C "/work/files" -- "${FOLDER#/}" 2> "$HOME/tar"
}
if ! extract; then
  # busybox cannot write into a folder that it has just made read-only, but leaves alone one that is there.
  if grep -q 'Permission denied' "$HOME/tar" && chmod -R u+w "/work/files" && extract; then :
  else extracted=no; fi
fi
[ ! -e "$HOME/export" ] || fail FetchFailed "crane could not read the image"

folder="/work/files$FOLDER"
[ ! -L "$folder" ] || fail UnsafeLink "the folder is a symbolic link"
[ -d "$folder" ] || fail MissingFolder "the image has no folder $FOLDER"
# A layer need not have an entry for the folder itself, which is what busybox misses then.
if [ "${extracted:-yes}" = no ] && ! grep -qi 'not found in archive' "$HOME/tar"; then
  cat "$HOME/tar" >&2
  if grep -qiE 'hard ?link' "$HOME/tar"; then fail UnsafeLink "a hard link leaves the folder"; fi
  fail FetchFailed "tar could not extract the folder"
fi
leaving=$(find "$folder" -type l | while IFS= read -r link; do
  target=$(readlink -f "$link" || true)
  case "$target" in "$folder"/*) ;; *) echo "$link" ;; esac
done)
[ -z "$leaving" ] || fail UnsafeLink "links that leave the folder: $leaving"
size=$(du -sk "$folder" | cut -f1)
[ "$size" -le 262144 ] || fail FolderTooLarge "the folder has $size KiB"
last=$(find "$folder" -maxdepth 1 -name '*.sql' \( -type f -o -type l \) | sort | tail -n 1)
[ -n "$last" ] || fail EmptyFolder "the folder holds no *.sql"

last=${last##*/}
printf 'digest=%s\nlast=%s\n' "${reference##*@}" "${last%%_*}" > /dev/termination-log
