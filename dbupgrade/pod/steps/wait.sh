# Waits for what the sidecar that holds the lock of the run has to say, and passes it on: `migrate` starts behind it.
set -u
trap 'exit 143' TERM
until [ -s /lock/report ]; do sleep 0.1; done
report=$(cat /lock/report)
printf %s "$report" >/dev/termination-log
case $report in
  *'"failure":"DatabaseUnreachable"'*) exit 75 ;;
  *'"failure":'*) exit 1 ;;
esac
