package airports

import (
	"strings"
	"testing"
)

func load(tb testing.TB) *Data {
	tb.Helper()
	data, err := Load()
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestLoadReadsEveryRow(t *testing.T) {
	data := load(t)
	if data.Len() != 42049 || len(data.airports) != 3376 {
		t.Fatalf("%d ZIP codes and %d airports, want 42049 and 3376", data.Len(), len(data.airports))
	}
	if first := data.zipCodes[0]; first.code != "00501" || first.city != "Holtsville" || first.state != "NY" {
		t.Errorf("the first ZIP code is %s %s %s, want 00501 Holtsville NY", first.code, first.city, first.state)
	}
	quoted := map[string]string{"DBN": `W. H. "Bud" Barron`, "53A": "Dr. C.P. Savage, Sr."}
	for _, airport := range data.airports {
		if want, ok := quoted[airport.iata]; ok && airport.name != want {
			t.Errorf("%s is named %q, want %q", airport.iata, airport.name, want)
		}
	}
}

func TestParseRefusesFaultyRows(t *testing.T) {
	const (
		zips     = "zip_code,latitude,longitude,city,state,county\n"
		airports = "iata,name,city,state,country,latitude,longitude\n"
		airport  = airports + "AAA,A,C,S,USA,0,0\n"
	)
	tests := map[string]struct{ zips, airports, want string }{
		"no text":             {"", airport, "header"},
		"other header":        {"zip,lat\n", airport, "header"},
		"field missing":       {zips + "00001,1,2,C,S\n", airport, "wrong number of fields"},
		"key missing":         {zips + ",1,2,C,S,X\n", airport, "empty or comes twice"},
		"key twice":           {zips + "1,1,2,C,S,X\n1,1,2,C,S,X\n", airport, "row 2"},
		"latitude missing":    {zips + "1,,2,C,S,X\n", airport, "latitude"},
		"latitude too large":  {zips + "1,90.1,2,C,S,X\n", airport, "not between -90 and 90"},
		"latitude not number": {zips + "1,NaN,2,C,S,X\n", airport, "not between"},
		"longitude infinite":  {zips + "1,1,-Inf,C,S,X\n", airport, "longitude"},
		"longitude with unit": {zips + "1,1,2W,C,S,X\n", airport, "longitude"},
		"no airport":          {zips + "1,1,2,C,S,X\n", airports, "no rows"},
		"airport misplaced":   {zips, airports + "AAA,A,C,S,USA,0,181\n", "AAA"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parse([]byte(test.zips), []byte(test.airports))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("zip_code,latitude,longitude,city,state,county\n1,90,-180,\"C, D\",S,\"é\"\n", "iata,name,city,state,country,latitude,longitude\nAAA,\"\"\"\",C,S,USA,0,0\n")
	f.Fuzz(func(t *testing.T, zips, airports string) {
		data, err := parse([]byte(zips), []byte(airports))
		if err != nil {
			return
		}
		for i := range data.Len() {
			if m := data.Nearest(i); m.IATA == "" || m.Distance < 0 || m.Distance > 200_160 {
				t.Fatalf("%+v is not a match on this Earth", m)
			}
		}
	})
}
