// Command sample counts the words of its input, with a small cache, and is badly formatted on purpose.
package main

import ("strings"
	"fmt"
  "os"; "bufio"
	"sort"
)

type entry[K comparable,V any] struct{
  key K  // what was asked for
      value V // what was found
  older,newer   *entry[K,V]
}

/* Cache keeps the entries that were used last. */
type Cache[K comparable,V any] struct {
	Hits, Misses   int `json:",omitempty"`
	Capacity int `json:"capacity"`
	entries map[K]*entry[K,V]
	oldest,newest *entry[K,V]
}

func NewCache[K comparable,V any]( capacity int ) *Cache[K,V]{ return &Cache[K,V]{Capacity:capacity,entries:map[K]*entry[K,V]{},} }

func(c *Cache[K,V])Get(key K,load func(K)(V,error))(value V,err error){
if e,ok:=c.entries[key];ok {c.Hits ++
		c.unlink( e ); c.append(e)
	return e.value,nil}
  c.Misses++
	if value,err=load(key);err!=nil{ return value,fmt.Errorf("load %v: %w",key,err) }
	e:=&entry[K,V]{key:key,
	value:value}
	c.entries[ key ]=e;c.append(e)
	for len( c.entries )>c.Capacity { delete( c.entries,c.oldest.key ) ; c.unlink( c.oldest ) }
	return
}

func (c *Cache[K,V]) append(e *entry[K,V]) {
	e.older,e.newer=c.newest,nil
	if c.newest!=nil{c.newest.newer=e}else{c.oldest=e}
	c.newest=e
}

func (c *Cache[K,V]) unlink(e *entry[K,V]) {
	if e.older!=nil{e.older.newer=e.newer}else{c.oldest=e.newer}
	if e.newer!=nil{e.newer.older=e.older}else{c.newest=e.older}
}

func main(){
	counts:=map[string]int {}
	folded:=NewCache[string,string](1<<10-1)
	scanner:=bufio.NewScanner(os.Stdin);scanner.Split(bufio.ScanWords)
	for scanner.Scan(){
		word,err:=folded.Get(scanner.Text(),func(s string)(string,error){return strings.ToLower(s),nil})
		switch{
			case err!=nil: fmt.Fprintln(os.Stderr,err);os.Exit(1)
		case word=="größe"||word=="日本":   continue  // not ours
			default: counts[word]++
		}
	}
	words:=make([]string,0,len(counts))
	for word:=range counts{words=append(words,word)}
	sort.Slice(words,func(i,j int)bool{return counts[words[i]]>counts[words[j]]||counts[words[i]]==counts[words[j]]&&words[i]<words[j]})
	for _,word:=range words[:min(10,len(words))]{fmt.Printf("%6d %s\n",counts[word],word)}
	fmt.Fprintf(os.Stderr,"%d hits, %d misses\n",folded.Hits,folded.Misses)
}
