# psql and pg_isready take no URL from a variable, and an argument could be read by every process of the node. So DATABASE_URL
# is taken apart into the variables that libpq reads. Go's pq and libpq name their parameters alike; search_path is none of
# libpq's, but a setting of the session.
decode() {
  rest=$1 decoded=
  while :; do
    case $rest in
      *%*) decoded=$decoded${rest%%%*}; rest=${rest#*%}
        hex=${rest%"${rest#??}"}; rest=${rest#??}
        decoded=$decoded$(printf "\\$(printf %03o "0x$hex")x"); decoded=${decoded%x} ;;
      *) decoded=$decoded$rest; return ;;
    esac
  done
}
unknown_parameter=
if [ -n "${DATABASE_URL:-}" ]; then
  url=${DATABASE_URL#*://} query='' path=''
  unset DATABASE_URL
  case $url in *\?*) query=${url#*\?}; url=${url%%\?*} ;; esac
  case $url in */*) path=${url#*/}; url=${url%%/*} ;; esac
  case $url in
    *@*) user=${url%@*}; url=${url##*@}
      case $user in *:*) decode "${user#*:}"; export PGPASSWORD="$decoded"; user=${user%%:*} ;; esac
      decode "$user"; export PGUSER="$decoded" ;;
  esac
  case $url in
    \[*) PGHOST=${url#\[} PGPORT=${url##*\]}; PGHOST=${PGHOST%%\]*} PGPORT=${PGPORT#:} ;;
    *:*) PGHOST=${url%:*} PGPORT=${url##*:} ;;
    *) PGHOST=$url PGPORT= ;;
  esac
  export PGHOST PGPORT="${PGPORT:-5432}"
  decode "$path"; [ -z "$decoded" ] || export PGDATABASE="$decoded"
  while [ -n "$query" ]; do
    pair=${query%%&*}; case $query in *\&*) query=${query#*&} ;; *) query='' ;; esac
    decode "${pair#*=}"
    case ${pair%%=*} in
      '') ;;
      application_name) export PGAPPNAME="$decoded" ;;
      channel_binding) export PGCHANNELBINDING="$decoded" ;;
      connect_timeout) export PGCONNECT_TIMEOUT="$decoded" ;;
      gssencmode) export PGGSSENCMODE="$decoded" ;;
      options) export PGOPTIONS="${PGOPTIONS:-} $decoded" ;;
      password) export PGPASSWORD="$decoded" ;;
      search_path) decoded=$(printf %s "$decoded" | sed 's/[\\ ]/\\&/g')
        export PGOPTIONS="${PGOPTIONS:-} -c search_path=$decoded" ;;
      sslmode) export PGSSLMODE="$decoded" ;;
      sslrootcert) export PGSSLROOTCERT="$decoded" ;;
      target_session_attrs) export PGTARGETSESSIONATTRS="$decoded" ;;
      user) export PGUSER="$decoded" ;;
      *) unknown_parameter=${pair%%=*} ;;
    esac
  done
fi
export PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-10}" PGAPPNAME="${PGAPPNAME:-dbupgrade}"
