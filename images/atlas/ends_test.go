package main

import (
	"strings"
	"testing"
)

func TestCut(t *testing.T) {
	text := "/* a /* b */ ; */ select 1; select 2"
	cases := map[string]struct {
		places [][2]int
		want   string
	}{
		"both":            {[][2]int{{18, 27}, {28, 36}}, "select 1;|select 2"},
		"none":            {nil, ""},
		"one on another":  {[][2]int{{18, 27}, {26, 36}}, "error"},
		"behind the text": {[][2]int{{18, 37}}, "error"},
		"before the text": {[][2]int{{-1, 3}}, "error"},
		"empty":           {[][2]int{{18, 18}}, "error"},
		"backwards":       {[][2]int{{27, 18}}, "error"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := cut(text, c.places)
			texts := make([]string, len(found))
			for i, each := range found {
				texts[i] = each.Text
			}
			got := strings.Join(texts, "|")
			if err != nil {
				got = "error"
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
