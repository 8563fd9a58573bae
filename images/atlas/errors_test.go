package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/lib/pq"
)

const password = "hunter2"

// call runs a command and returns its exit code and all that it printed.
func call(t *testing.T, environment map[string]string, arguments ...string) (int, string) {
	t.Helper()
	var output strings.Builder
	code := run(context.Background(), arguments, streams{nil, &output, &output, func(name string) string { return environment[name] }})
	return code, output.String()
}

// migrations makes a folder of the given files, with its atlas.sum.
func migrations(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, output := call(t, nil, "migrate", "hash", "--dir", "file://"+folder); code != 0 {
		t.Fatal(output)
	}
	return "file://" + folder
}

// Nothing listens on port 1.
var hostileURLs = []string{
	"",
	"hunter2",
	"hunter2:x@127.0.0.1/db",
	"hunter2://127.0.0.1/db",
	"://u:hunter2@127.0.0.1/db",
	"oracle://u:hunter2@127.0.0.1:1/db",
	"postgres://u:hunter2%zz@127.0.0.1:1/db",
	"postgres://u:hunter2@127.0.0.1:port/db",
	"postgres://u:hunter2@[::1/db",
	"postgres://u:hunter2@127.0.0.1:1:2/db",
	"postgres://u:hunter2 @127.0.0.1:1/db",
	"postgres://u:hunter2\x7f@127.0.0.1:1/db",
	"postgres://u:hunter2\n@127.0.0.1:1/db",
	"postgres://u:hunter2/@127.0.0.1:1/db",
	"postgres://u:hunter2#@127.0.0.1:1/db",
	"postgres://u:hunter2?@127.0.0.1:1/db",
	"postgres://u:1#hunter2@127.0.0.1:1/db",
	"postgres://u:1?hunter2@127.0.0.1:1/db",
	"postgres://u:1/hunter2@127.0.0.1:1/db",
	"postgres://u:x@hunter2#9@127.0.0.1:1/db",
	"postgres://u:x@hunter2?y@127.0.0.1:1/db",
	"postgres://u:x@hunter2/y@127.0.0.1:1/db",
	"postgres://u:hunter2@127.0.0.1:1/db",
	"postgres://u:hunter2@127.0.0.1:1/db?sslmode=nonsense",
	"postgres://u:hunter2@127.0.0.1:1/db?connect_timeout=nonsense",
	"postgres://u@127.0.0.1:1/db?password=hunter2",
	"postgres://u@127.0.0.1:1/db?password=hunter2&sslmode=hunter2",
	"postgres://u@127.0.0.1:1/db?sslpassword=hunter2&sslmode=verify-full",
	"postgres://u:hunter2@127.0.0.1:1/db?sslmode=verify-full&sslrootcert=/nowhere/u:hunter2@host",
	"mysql://u:hunter2@tcp(127.0.0.1:1)/db",
	"mysql://u:hunter2@127.0.0.1:1/db?timeout=hunter2",
	"mysql://u:hunter2@127.0.0.1:1/db?tls=hunter2",
	"mariadb://u:hunter2@127.0.0.1:1",
	"mariadb://u:hunter2%2F%40%3A@127.0.0.1:1/db",
	"mysql+unix://u:hunter2@/nowhere/socket?database=db",
}

func TestNoOutputHoldsAURLOrItsPassword(t *testing.T) {
	folder := migrations(t, map[string]string{"1_a.sql": "select 1;"})
	config := filepath.Join(t.TempDir(), "atlas.hcl")
	text := "env \"run\" {\n  url = getenv(\"DATABASE_URL\")\n  dev = getenv(\"DATABASE_URL\")\n}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, url := range hostileURLs {
		commands := [][]string{
			{"migrate", "apply", "--dir", folder, "--url", url},
			{"migrate", "apply", "--dir", folder, "--url", url, "--format", "{{ json . }}"},
			{"migrate", "status", "--dir", folder, "--config", "file://" + config, "--env", "run"},
			{"migrate", "set", "1", "--dir", folder, "--config", "file://" + config, "--env", "run"},
		}
		if url != "" {
			commands = append(commands, []string{"migrate", "validate", "--dir", folder, "--dev-url", url})
		}
		for _, arguments := range commands {
			code, output := call(t, map[string]string{"DATABASE_URL": url}, arguments...)
			if code != 1 {
				t.Errorf("%q: %v ended with %d", url, arguments[1], code)
			}
			if strings.Contains(output, password) || url != "" && strings.Contains(output, url) {
				t.Errorf("%q: %v printed %q", url, arguments[1], output)
			}
			if !strings.HasPrefix(output, "Error: ") {
				t.Errorf("%q: %v printed %q", url, arguments[1], output)
			}
		}
	}
}

func TestTextsAreCleaned(t *testing.T) {
	for _, test := range []struct{ name, url, text, want string }{
		{"a URL", "postgres://u:hunter2@h/db", "parse \"postgres://x:y@h/db\": no", "parse \"*** no"},
		{"a password", "postgres://u:hunter2@h/db", "no hunter2 here", "no *** here"},
		{"a password that was decoded", "postgres://u:hunter2%2F@h/db", "no hunter2/ here", "no *** here"},
		{"a password that was not", "postgres://u:hunter2%2F@h/db", "no hunter2%2F here", "no *** here"},
		{"a password of a malformed URL", "postgres://u:hunter2%zz@h/db", "no hunter2%zz here", "no *** here"},
		{"a password in the query", "postgres://u@h/db?sslpassword=hunter2", "no hunter2 here", "no *** here"},
		{"user and password", "postgres://u:a@h/db", "no u:a here", "no u:a here"},
		{"a short password masks no words of ours", "postgres://u:a@h/db", "database", "database"},
		{"no URL", "", "database", "database"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := secretsOf(test.url).clean(test.text); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestErrorsOfDriversHaveOneShape(t *testing.T) {
	other := errors.New("other")
	for _, test := range []struct {
		name       string
		err        error
		text, code string
		position   int
	}{
		{"PostgreSQL", &pq.Error{Message: "no such role", Code: "42704"}, "pq: no such role (42704)", "42704", 0},
		{"with a position", &pq.Error{Message: "no", Code: "42703", Position: "12"}, "pq: no (42703)", "42703", 12},
		{"MariaDB", &mysql.MySQLError{Number: 1045, SQLState: [5]byte{'2', '8', '0', '0', '0'}, Message: "no"}, "Error 1045 (28000): no", "28000", 0},
		{"something else", other, "other", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := plain(test.err)
			if got.Error() != test.text || codeOf(got) != test.code || !errors.Is(got, test.err) {
				t.Errorf("got %q (%s)", got, codeOf(got))
			}
			var known *statementError
			if errors.As(got, &known) && known.position != test.position {
				t.Errorf("position %d, want %d", known.position, test.position)
			}
		})
	}
	if plain(nil) != nil {
		t.Error("no error became one")
	}
}

func TestParametersOfOtherDrivers(t *testing.T) {
	for _, test := range []struct{ scheme, name, want string }{
		{"postgres", "schema", "schema (use search_path)"},
		{"postgresql", "currentSchema", "currentSchema (use search_path)"},
		{"mysql", "useSSL", "useSSL (use tls)"},
		{"mariadb", "schema", "schema"},
		{"postgres", "pool_timeout", "pool_timeout"},
		{"postgres", "hunter2@h", "***"},
	} {
		if got := advised(test.scheme, test.name); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestSettingsThatAServerDoesNotKnow(t *testing.T) {
	for text, want := range map[string]string{
		`postgres: scanning system variables: pq: unrecognized configuration parameter "schema" (42704)`: "schema",
		`Error 1193 (HY000): Unknown system variable 'useSSL'`:                                           "useSSL",
		"dial tcp: connection refused":                                                                   "",
	} {
		if got := settingOf(errors.New(text)); got != want {
			t.Errorf("%s: got %q", text, got)
		}
	}
	if settingOf(nil) != "" {
		t.Error("no error has a setting")
	}
}
