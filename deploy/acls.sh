#!/usr/bin/env bash
#
# Allows the users of a secured Kafka what each role of roomstream needs, and no more (docs/security.md):
#
#   deploy/acls.sh --bootstrap-server kafka-1:9092 --command-config admin.properties --prefix staging. \
#       --worker User:worker --trainer User:trainer --operator User:ana
#
# Only the roles that are given a user are handled; a role may be given several. It can be run again.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: deploy/acls.sh --bootstrap-server HOST:PORT [options] ROLE USER [ROLE USER ...]

  --command-config FILE   how an administrator connects, as for every tool of Kafka
  --prefix PREFIX         ROOMSTREAM_TOPIC_PREFIX of the deployment
  --worker-group GROUP    WORKER_GROUP, without the prefix (default roomstream-workers)
  --reader-group GROUP    the consumer group of the downstream readers (default roomstream-readers)
  --remove                take the permissions away again
  --dry-run               print the commands only

Roles: --worker, --trainer, --operator, --upstream (sends listings, labels and deletions),
--reviewer (labels what is asked), --reader (reads answers and reviews). A user is written as Kafka
does: User:ana.
kafka-acls.sh is taken from $KAFKA_HOME/bin, else from the PATH.
TEXT
}

bootstrap="" prefix="" worker_group="roomstream-workers" reader_group="roomstream-readers"
action=(--add) connection=() users=() dry_run=""
while (($#)); do
    case "$1" in
    --bootstrap-server) bootstrap="$2" && shift 2 ;;
    --command-config) connection=(--command-config "$2") && shift 2 ;;
    --prefix) prefix="$2" && shift 2 ;;
    --worker-group) worker_group="$2" && shift 2 ;;
    --reader-group) reader_group="$2" && shift 2 ;;
    --worker | --trainer | --operator | --upstream | --reviewer | --reader) users+=("${1#--}" "$2") && shift 2 ;;
    --remove) action=(--remove --force) && shift ;;
    --dry-run) dry_run=yes && shift ;;
    --help | -h) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
done
if [[ -z "$bootstrap" || ${#users[@]} -eq 0 ]]; then
    usage >&2
    exit 2
fi
kafka_acls="${KAFKA_HOME:+$KAFKA_HOME/bin/}kafka-acls.sh"

# allow USER OPERATIONS RESOURCES...: OPERATIONS are separated by commas.
allow() {
    local user="$1" operations=() operation
    for operation in ${2//,/ }; do
        operations+=(--operation "$operation")
    done
    local command=("$kafka_acls" --bootstrap-server "$bootstrap"
        ${connection[@]+"${connection[@]}"} "${action[@]}"
        --allow-principal "$user" "${operations[@]}" "${@:3}")
    if [[ -n "$dry_run" ]]; then
        printf '%q ' "${command[@]}" && echo
    else
        "${command[@]}"
    fi
}

# topics NAME...: the arguments for topics of ours.
topics() {
    printf -- "--topic $prefix%s " "$@"
}

group="$prefix$worker_group"
worker() {
    allow "$1" Read $(topics listings releases) --group "$group"
    allow "$1" Write $(topics classified classified.shadow review dead)
    allow "$1" Write --transactional-id "$group-" --resource-pattern-type prefixed # exactly-once
}

trainer() {
    allow "$1" Read $(topics labelled deletions releases) --group "${prefix}roomstream-trainer"
    allow "$1" Write $(topics releases dead)
}

operator() {
    allow "$1" Create,Describe,DescribeConfigs \
        $(topics listings classified classified.shadow review labelled deletions releases dead)
    allow "$1" Read $(topics listings classified review labelled deletions releases dead)
    allow "$1" Write $(topics listings labelled deletions releases dead) \
        --transactional-id "${prefix}roomstream-dead-replay"
    allow "$1" Describe --group "$group"
    allow "$1" Create,Write,Delete --topic "${prefix}roomstream-doctor-" --resource-pattern-type prefixed
}

upstream() {
    allow "$1" Write $(topics listings labelled deletions)
}

reviewer() {
    allow "$1" Read $(topics review labelled deletions)
    allow "$1" Write $(topics labelled)
}

reader() {
    allow "$1" Read $(topics classified classified.shadow review) --group "$prefix$reader_group"
}

for ((i = 0; i < ${#users[@]}; i += 2)); do
    "${users[i]}" "${users[i + 1]}"
done
