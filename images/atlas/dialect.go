package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
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
	hasExtensions      bool
	// backend asks for the number of a session as the server lists it.
	backend string
	// bound are the commands that give a session its limits.
	bound func(bounds) []string
	// lift takes a limit of ours for locks from a session, if it has that; %d is the limit.
	lift string
	// cancel ends what a session does; %d is its number.
	cancel string
	// renew are the commands that undo what a session was told, if there are any.
	renew                     []string
	schemaExists, tableExists string
	// table makes the history, as Atlas's command line makes it; %s is its name.
	table string
	quote func(string) string
	// hides says of a statement that it would keep the history from being written when a statement has been executed.
	hides func(*migrate.Stmt) bool
	// literal is a text as it stands in a statement.
	literal func(string) string
	// take asks for the lock of a file, and release gives it back; the argument is the schema of the history.
	take, release func(string) string
	// runLock is the name of the lock of a run, which only MySQL's runner leaves to us.
	runLock func(string) string
	// write records a row; with true it must not be there.
	write func(context.Context, *history, *migrate.Revision, string, bool) error
}

func dialectOf(driver string) dialect {
	if driver == "postgres" {
		return postgres
	}
	return mysqlAndMariaDB
}

var postgres = dialect{
	begin:         "BEGIN READ WRITE",
	placeholder:   "$1",
	hasExtensions: true,
	backend:       "SELECT pg_catalog.pg_backend_pid()",
	bound:         boundPostgres,
	lift: "SELECT pg_catalog.set_config('lock_timeout', '0', false) FROM pg_catalog.pg_settings" +
		" WHERE name = 'lock_timeout' AND setting = '%d'",
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
	quote:   pq.QuoteIdentifier,
	hides:   func(*migrate.Stmt) bool { return false },
	literal: pq.QuoteLiteral,
	take:    func(string) string { return fmt.Sprintf("SELECT pg_catalog.pg_try_advisory_lock(%d)", fileLock) },
	release: func(string) string { return fmt.Sprintf("SELECT pg_catalog.pg_advisory_unlock(%d)", fileLock) },
	write:   writePostgres,
}

var mysqlAndMariaDB = dialect{
	begin:        "START TRANSACTION",
	placeholder:  "?",
	backend:      "SELECT CONNECTION_ID()",
	bound:        boundMySQL,
	cancel:       "KILL QUERY %d",
	schemaExists: "SELECT EXISTS (SELECT 1 FROM information_schema.schemata WHERE schema_name = ?)",
	tableExists:  "SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?)",
	table: "CREATE TABLE %s (`version` varchar(255) NOT NULL, `description` varchar(255) NOT NULL," +
		" `type` bigint unsigned NOT NULL DEFAULT 2, `applied` bigint NOT NULL DEFAULT 0, `total` bigint NOT NULL DEFAULT 0," +
		" `executed_at` timestamp NULL, `execution_time` bigint NOT NULL, `error` longtext NULL, `error_stmt` longtext NULL," +
		" `hash` varchar(255) NOT NULL, `partial_hashes` json NULL, `operator_version` varchar(255) NOT NULL," +
		" PRIMARY KEY (`version`)) CHARSET utf8mb4 COLLATE utf8mb4_bin",
	quote: func(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" },
	hides: func(stmt *migrate.Stmt) bool { return setsAutocommit.MatchString(stmt.Text) },
	// Hexadecimal, since what a backslash means depends on a setting.
	literal: func(text string) string { return fmt.Sprintf("CONVERT(X'%x' USING utf8mb4)", text) },
	take:    func(schema string) string { return "SELECT GET_LOCK(" + fileLockOf(schema) + ", 0)" },
	release: func(schema string) string { return "SELECT RELEASE_LOCK(" + fileLockOf(schema) + ")" },
	runLock: runLockOf,
	write:   writeMySQL,
}

// setsAutocommit finds a statement that sets it for the session, also in a comment that MySQL executes.
var setsAutocommit = regexp.MustCompile("(?is)^\\s*(/\\*M?!\\d*\\s*)?set\\s([^'\"]*,)?\\s*(session\\s+|local\\s+|@@((session|local)\\.)?)?`?autocommit`?\\s*:?=")

// fileLock is the key of the lock under which a file is executed, in one database of PostgreSQL.
const fileLock = 0x64627570_66696c65 // "dbup", "file"

// fileLockOf is its name in MySQL, where it is one of the server: names have 64 characters at most.
func fileLockOf(schema string) string {
	sum := sha256.Sum256([]byte(schema))
	return fmt.Sprintf("'dbupgrade_file_%x'", sum[:16])
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
// user that logged in: the role needs no right to the history. What is set here ends with the transaction, so that a role
// for which the file said SET LOCAL does, too.
func writePostgres(ctx context.Context, h *history, r *migrate.Revision, hashes string, isNew bool) error {
	row := []string{
		pq.QuoteLiteral(r.Version), pq.QuoteLiteral(r.Description), number(int64(r.Type)), number(int64(r.Applied)),
		number(int64(r.Total)), pq.QuoteLiteral(r.ExecutedAt.UTC().Format("2006-01-02 15:04:05.999999999Z07:00")),
		number(int64(r.ExecutionTime)), pq.QuoteLiteral(r.Error), pq.QuoteLiteral(r.ErrorStmt), pq.QuoteLiteral(r.Hash),
		pq.QuoteLiteral(hashes), pq.QuoteLiteral(operatorName),
	}
	query := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", h.name(), columns, strings.Join(row, ", "))
	if !isNew {
		query += " ON CONFLICT (version) DO UPDATE SET " + assignments(func(c string) string { return "excluded." + c })
	}
	session := h.server.session
	if session == nil {
		_, err := h.server.client.DB.ExecContext(ctx, query)
		return err
	}
	_, err := session.ExecContext(ctx, "SELECT pg_catalog.set_config('dbupgrade.role', pg_catalog.current_setting('role'), true);"+
		"SET LOCAL role TO DEFAULT;"+query+";SELECT pg_catalog.set_config('role', pg_catalog.current_setting('dbupgrade.role'), true)")
	return err
}

// writeMySQL writes through another connection where the file has locked tables, ours not among them: with that, it has
// ended its transaction.
func writeMySQL(ctx context.Context, h *history, r *migrate.Revision, hashes string, isNew bool) error {
	query := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)",
		h.name(), columns, strings.TrimSuffix(strings.Repeat("?, ", strings.Count(columns, ",")+1), ", "))
	if !isNew {
		query += " ON DUPLICATE KEY UPDATE " + assignments(func(c string) string { return "VALUES(" + c + ")" })
	}
	row := []any{
		r.Version, r.Description, int64(r.Type), r.Applied, r.Total, r.ExecutedAt.UTC(), int64(r.ExecutionTime), r.Error,
		r.ErrorStmt, r.Hash, hashes, operatorName,
	}
	if h.server.session != nil {
		_, err := h.server.session.ExecContext(ctx, query, row...)
		if numberOf(err) != tableNotLocked {
			return err
		}
	}
	_, err := h.server.client.DB.ExecContext(ctx, query, row...)
	return err
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
