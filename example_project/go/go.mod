module gofmt

go 1.26
