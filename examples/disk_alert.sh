#!/bin/sh
# Warn a person when a disk is nearly full. For cron, for example every ten minutes:
#
#   */10 * * * * /usr/local/bin/disk_alert.sh
#
# Settings, all optional:
#   ALERT_TO        recipient of the warning (oncall)
#   ALERT_PATH      a folder on the disk to watch (/)
#   ALERT_PERCENT   warn from this percentage on (90)
#   ALERT_FALLBACK  command that reads the warning from standard input if it cannot be delivered (logger -t disk-alert)
#   TWOTICK_SERVER  where the server is (127.0.0.1:18000)

to=${ALERT_TO:-oncall}
path=${ALERT_PATH:-/}

used=$(df -P "$path" | awk 'NR == 2 { sub("%", "", $5); print $5 }')
if [ -z "$used" ]; then
    echo "disk_alert: cannot find out how full $path is" >&2
    exit 1
fi
if [ "$used" -lt "${ALERT_PERCENT:-90}" ]; then
    exit 0
fi

warning="$(uname -n): $path is $used% full"
twotick send "$to" "$warning" --as cron > /dev/null  # cron mails what a job prints; errors still appear
case $? in
    0) ;;   # a device of the recipient has the warning
    75) ;;  # the server has stored it, and the recipient's devices get it when they connect
    *)      # not delivered: docs/shell.md lists the statuses
        echo "$warning" | sh -c "${ALERT_FALLBACK:-logger -t disk-alert}"
        ;;
esac
