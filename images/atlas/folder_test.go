package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ariga.io/atlas/sql/migrate"
)

func TestTransactionModes(t *testing.T) {
	for _, test := range []struct{ name, text, run, want, err string }{
		{"none given", "select 1;", modeFile, modeFile, ""},
		{"the run's", "select 1;", modeNone, modeNone, ""},
		{"all files", "select 1;", modeAll, modeAll, ""},
		{"none", "-- atlas:txmode none\n\nselect 1;", modeFile, modeNone, ""},
		{"file", "-- atlas:txmode file\n\nselect 1;", modeFile, modeFile, ""},
		{"without the empty line it is a comment", "-- atlas:txmode none\nselect 1;", modeFile, modeFile, ""},
		{"none in a run of one transaction", "-- atlas:txmode none\n\nselect 1;", modeAll, "", "when txmode \"all\" is set globally"},
		{"all", "-- atlas:txmode all\n\nselect 1;", modeFile, "", "not allowed"},
		{"unknown", "-- atlas:txmode some\n\nselect 1;", modeFile, "", "unknown txmode"},
		{"two", "-- atlas:txmode none\n-- atlas:txmode file\n\nselect 1;", modeFile, "", "multiple"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := transactionMode(migrate.NewLocalFile("1_a.sql", []byte(test.text)), test.run)
			if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestValidateComparesFilesAndSum(t *testing.T) {
	folder := migrations(t, map[string]string{"1_a.sql": "select 1;", "2_b.sql": "select 2;"})
	validate := func() (int, string) { return call(t, nil, "migrate", "validate", "--dir", folder) }
	if code, output := validate(); code != 0 || output != "" {
		t.Errorf("%d, %q", code, output)
	}
	name := strings.TrimPrefix(folder, "file://")
	for _, test := range []struct{ file, text, want string }{
		{"2_b.sql", "select 3;", "Error: checksum mismatch"},
		{"atlas.sum", "x\n<<<<<<< ours\n", "Error: checksum file format invalid"},
	} {
		if err := os.WriteFile(filepath.Join(name, test.file), []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, output := validate(); code != 1 || !strings.Contains(output, test.want) {
			t.Errorf("%s: %d, %q", test.file, code, output)
		}
	}
	if err := os.Remove(filepath.Join(name, "atlas.sum")); err != nil {
		t.Fatal(err)
	}
	if code, output := validate(); code != 1 || !strings.Contains(output, "Error: checksum file not found") {
		t.Errorf("%d, %q", code, output)
	}
}

func TestTwoFilesOfOneVersionAreRefused(t *testing.T) {
	folder := migrations(t, map[string]string{"1_a.sql": "select 1;"})
	name := strings.TrimPrefix(folder, "file://")
	for _, other := range []string{"1_b.sql", "1.sql"} {
		path := filepath.Join(name, other)
		if err := os.WriteFile(path, []byte("select 2;"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"hash", "validate", "apply", "status"} {
			code, output := call(t, nil, "migrate", command, "--dir", folder)
			if code != 1 || !strings.Contains(output, other) || !strings.Contains(output, "1_a.sql") {
				t.Errorf("%s with %s: %d, %q", command, other, code, output)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPlacesInAFile(t *testing.T) {
	text := "-- é\nselect 1;\n\n  select ö,\n nope;"
	second := strings.Index(text, "select ö")
	stmt := &migrate.Stmt{Pos: second, Text: "select ö,\n nope;"}
	for _, test := range []struct {
		name, text             string
		stmt                   *migrate.Stmt
		position, line, column int
	}{
		{"a statement", text, stmt, 0, 4, 3},
		{"its first character", text, stmt, 1, 4, 3},
		{"behind a character of two bytes", text, stmt, 9, 4, 11},
		{"on the next line", text, stmt, 12, 5, 2},
		{"behind its end", text, stmt, 1000, 5, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			var e event
			e.at(test.text, test.stmt, test.position)
			if e.Line != test.line || e.Column != test.column || *e.Offset != second {
				t.Errorf("got %d:%d, offset %d", e.Line, e.Column, *e.Offset)
			}
		})
	}
}

func TestStatementsThatSetAutocommit(t *testing.T) {
	for text, want := range map[string]bool{
		"set autocommit = 0;":                        true,
		"SET AUTOCOMMIT:=OFF;":                       true,
		"set\n  @@autocommit=0;":                     true,
		"set session autocommit = 1;":                true,
		"set @@session.autocommit = 1;":              true,
		"set `autocommit` = 1;":                      true,
		"set @old = @@autocommit, autocommit = 0;":   true,
		"/*!40101 set autocommit = 0 */;":            true,
		"/*M!100100 set autocommit = 0 */;":          true,
		"set @old = @@autocommit;":                   false,
		"set global autocommit = 0;":                 false,
		"set @@global.autocommit = 0;":               false,
		"set names 'utf8', @a = 'autocommit = 0';":   false,
		"update settings set autocommit = 0;":        false,
		"insert into t values ('set autocommit=0');": false,
	} {
		if got := mysqlAndMariaDB.hides(&migrate.Stmt{Text: text}); got != want {
			t.Errorf("%q: %v", text, got)
		}
		if postgres.hides(&migrate.Stmt{Text: text}) {
			t.Errorf("%q with PostgreSQL", text)
		}
	}
}
