package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"ariga.io/atlas/sql/migrate"
	"github.com/lib/pq"
)

// inFailedTransaction is PostgreSQL's SQLSTATE for every statement behind one that failed.
const inFailedTransaction = "25P02"

// invalidAuthorization is the class of PostgreSQL's SQLSTATEs for a login that is refused.
const invalidAuthorization = "28"

// dialect is what the two kinds of databases have different.
type dialect struct {
	begin, placeholder string
	// backend asks for the number of a session as the server lists it.
	backend string
	// cancel ends what a session does; %d is its number.
	cancel string
	// renew are the commands that undo what a session was told, if there are any.
	renew                     []string
	schemaExists, tableExists string
	// table makes the history, as Atlas's command line makes it; %s is its name.
	table string
	quote func(string) string
	write func(context.Context, *history, *migrate.Revision, string) error
}

func dialectOf(driver string) dialect {
	if driver == "postgres" {
		return postgres
	}
	return mysqlAndMariaDB
}

var postgres = dialect{
	begin:        "BEGIN READ WRITE",
	placeholder:  "$1",
	backend:      "SELECT pg_catalog.pg_backend_pid()",
	cancel:       "SELECT pg_catalog.pg_cancel_backend(%d)",
	renew:        []string{"DISCARD ALL", "RESET ROLE"},
	schemaExists: "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)",
	tableExists: "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace" +
		" WHERE n.nspname = $1 AND c.relname = $2)",
	table: `CREATE TABLE %s ("version" character varying NOT NULL, "description" character varying NOT NULL,
		"type" bigint NOT NULL DEFAULT 2, "applied" bigint NOT NULL DEFAULT 0, "total" bigint NOT NULL DEFAULT 0,
		"executed_at" timestamptz NOT NULL, "execution_time" bigint NOT NULL, "error" text NULL, "error_stmt" text NULL,
		"hash" character varying NOT NULL, "partial_hashes" jsonb NULL, "operator_version" character varying NOT NULL,
		PRIMARY KEY ("version"))`,
	quote: pq.QuoteIdentifier,
	write: writePostgres,
}

var mysqlAndMariaDB = dialect{
	begin:        "START TRANSACTION",
	placeholder:  "?",
	backend:      "SELECT CONNECTION_ID()",
	cancel:       "KILL QUERY %d",
	schemaExists: "SELECT EXISTS (SELECT 1 FROM information_schema.schemata WHERE schema_name = ?)",
	tableExists:  "SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?)",
	table: "CREATE TABLE %s (`version` varchar(255) NOT NULL, `description` varchar(255) NOT NULL," +
		" `type` bigint unsigned NOT NULL DEFAULT 2, `applied` bigint NOT NULL DEFAULT 0, `total` bigint NOT NULL DEFAULT 0," +
		" `executed_at` timestamp NULL, `execution_time` bigint NOT NULL, `error` longtext NULL, `error_stmt` longtext NULL," +
		" `hash` varchar(255) NOT NULL, `partial_hashes` json NULL, `operator_version` varchar(255) NOT NULL," +
		" PRIMARY KEY (`version`)) CHARSET utf8mb4 COLLATE utf8mb4_bin",
	quote: func(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" },
	write: writeMySQL,
}

// When a file was begun stays as it was first recorded, and so does its description.
var updated = []string{
	"type", "applied", "total", "execution_time", "error", "error_stmt", "hash", "partial_hashes", "operator_version",
}

func assignments(value func(column string) string) string {
	parts := make([]string, len(updated))
	for i, column := range updated {
		parts[i] = column + " = " + value(column)
	}
	return strings.Join(parts, ", ")
}

// writePostgres is one round trip. A file that changed its role has it back behind the row, which is written as the
// user that logged in: the role needs no right to the history.
func writePostgres(ctx context.Context, h *history, r *migrate.Revision, hashes string) error {
	row := []string{
		pq.QuoteLiteral(r.Version), pq.QuoteLiteral(r.Description), number(int64(r.Type)), number(int64(r.Applied)),
		number(int64(r.Total)), pq.QuoteLiteral(r.ExecutedAt.UTC().Format("2006-01-02 15:04:05.999999999Z07:00")),
		number(int64(r.ExecutionTime)), pq.QuoteLiteral(r.Error), pq.QuoteLiteral(r.ErrorStmt), pq.QuoteLiteral(r.Hash),
		pq.QuoteLiteral(hashes), pq.QuoteLiteral(operatorName),
	}
	query := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT (version) DO UPDATE SET %s",
		h.name(), columns, strings.Join(row, ", "), assignments(func(c string) string { return "excluded." + c }))
	session := h.server.session
	if session == nil {
		_, err := h.server.client.DB.ExecContext(ctx, query)
		return err
	}
	_, err := session.ExecContext(ctx, "SELECT pg_catalog.set_config('dbupgrade.role', pg_catalog.current_setting('role'), false);"+
		"RESET ROLE;"+query+";SELECT pg_catalog.set_config('role', pg_catalog.current_setting('dbupgrade.role'), false)")
	return err
}

func writeMySQL(ctx context.Context, h *history, r *migrate.Revision, hashes string) error {
	query := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON DUPLICATE KEY UPDATE %s",
		h.name(), columns, strings.TrimSuffix(strings.Repeat("?, ", strings.Count(columns, ",")+1), ", "),
		assignments(func(c string) string { return "VALUES(" + c + ")" }))
	row := []any{
		r.Version, r.Description, int64(r.Type), r.Applied, r.Total, r.ExecutedAt.UTC(), int64(r.ExecutionTime), r.Error,
		r.ErrorStmt, r.Hash, hashes, operatorName,
	}
	session := h.server.session
	if session == nil {
		_, err := h.server.client.DB.ExecContext(ctx, query, row...)
		return err
	}
	_, err := session.ExecContext(ctx, query, row...)
	return err
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
