// The films that the page knows: those of `kith demo`. A backend of people knows
// films by their ids alone; titles are the client's business.
//
// id, title, whose film it is, year, what its poster shows, and its colours (of
// poster.js). A film of another client is shown by the title in event_details.

const list = [
  [278, "The Shawshank Redemption", "Frank Darabont", 1994, "bars", "dusk"],
  [238, "The Godfather", "Francis Ford Coppola", 1972, "strings", "ink"],
  [496243, "Parasite", "Bong Joon-ho", 2019, "stairs", "moss"],
  [129, "Spirited Away", "Hayao Miyazaki", 2001, "bridge", "lantern"],
  [27205, "Inception", "Christopher Nolan", 2010, "maze", "steel"],
  [157336, "Interstellar", "Christopher Nolan", 2014, "planet", "deep"],
  [680, "Pulp Fiction", "Quentin Tarantino", 1994, "rays", "mustard"],
  [155, "The Dark Knight", "Christopher Nolan", 2008, "city", "ink"],
  [872585, "Oppenheimer", "Christopher Nolan", 2023, "burst", "ember"],
  [693134, "Dune: Part Two", "Denis Villeneuve", 2024, "dunes", "sand"],
  [545611, "Everything Everywhere All at Once", "the Daniels", 2022, "rings", "candy"],
  [244786, "Whiplash", "Damien Chazelle", 2014, "drum", "mustard"],
  [603, "The Matrix", "the Wachowskis", 1999, "rain", "phosphor"],
  [550, "Fight Club", "David Fincher", 1999, "soap", "candy"],
  [76341, "Mad Max: Fury Road", "George Miller", 2015, "road", "ember"],
  [372058, "Your Name.", "Makoto Shinkai", 2016, "comet", "twilight"],
  [194, "Amélie", "Jean-Pierre Jeunet", 2001, "lamp", "moss"],
  [598, "City of God", "Fernando Meirelles", 2002, "blocks", "sand"],
  [807, "Se7en", "David Fincher", 1995, "rain", "ash"],
  [274, "The Silence of the Lambs", "Jonathan Demme", 1991, "moth", "ash"],
  [769, "GoodFellas", "Martin Scorsese", 1990, "strings", "ember"],
  [120, "The Fellowship of the Ring", "Peter Jackson", 2001, "ring", "moss"],
  [329865, "Arrival", "Denis Villeneuve", 2016, "shell", "ash"],
  [335984, "Blade Runner 2049", "Denis Villeneuve", 2017, "city", "lantern"],
  [78, "Blade Runner", "Ridley Scott", 1982, "rain", "twilight"],
  [348, "Alien", "Ridley Scott", 1979, "egg", "phosphor"],
  [4935, "Howl's Moving Castle", "Hayao Miyazaki", 2004, "hills", "sky"],
  [128, "Princess Mononoke", "Hayao Miyazaki", 1997, "forest", "moss"],
  [389, "12 Angry Men", "Sidney Lumet", 1957, "chairs", "paper"],
  [346, "Seven Samurai", "Akira Kurosawa", 1954, "sun", "paper"],
  [11216, "Cinema Paradiso", "Giuseppe Tornatore", 1988, "projector", "lantern"],
  [12477, "Grave of the Fireflies", "Isao Takahata", 1988, "fireflies", "deep"],
  [670, "Oldboy", "Park Chan-wook", 2003, "corridor", "moss"],
  [843, "In the Mood for Love", "Wong Kar-wai", 2000, "lamp", "ember"],
  [38, "Eternal Sunshine of the Spotless Mind", "Michel Gondry", 2004, "bed", "sky"],
  [313369, "La La Land", "Damien Chazelle", 2016, "hills", "twilight"],
  [152601, "Her", "Spike Jonze", 2013, "kith", "ember"],
  [120467, "The Grand Budapest Hotel", "Wes Anderson", 2014, "hotel", "candy"],
  [6977, "No Country for Old Men", "the Coens", 2007, "road", "sand"],
  [275, "Fargo", "the Coens", 1996, "road", "paper"],
  [115, "The Big Lebowski", "the Coens", 1998, "bowling", "sky"],
  [105, "Back to the Future", "Robert Zemeckis", 1985, "tracks", "twilight"],
  [13, "Forrest Gump", "Robert Zemeckis", 1994, "feather", "sky"],
  [62, "2001: A Space Odyssey", "Stanley Kubrick", 1968, "eye", "ink"],
  [694, "The Shining", "Stanley Kubrick", 1980, "carpet", "ember"],
  [426, "Vertigo", "Alfred Hitchcock", 1958, "spiral", "lantern"],
  [539, "Psycho", "Alfred Hitchcock", 1960, "slashes", "ash"],
  [567, "Rear Window", "Alfred Hitchcock", 1954, "windows", "dusk"],
  [289, "Casablanca", "Michael Curtiz", 1942, "rays", "paper"],
  [15, "Citizen Kane", "Orson Welles", 1941, "globe", "paper"],
  [28, "Apocalypse Now", "Francis Ford Coppola", 1979, "sun", "ember"],
  [103, "Taxi Driver", "Martin Scorsese", 1976, "taxi", "mustard"],
  [329, "Jurassic Park", "Steven Spielberg", 1993, "forest", "phosphor"],
  [578, "Jaws", "Steven Spielberg", 1975, "fin", "sky"],
  [424, "Schindler's List", "Steven Spielberg", 1993, "candle", "ash"],
  [280, "Terminator 2: Judgment Day", "James Cameron", 1991, "eye", "steel"],
  [679, "Aliens", "James Cameron", 1986, "egg", "steel"],
  [11, "Star Wars", "George Lucas", 1977, "suns", "sand"],
  [8587, "The Lion King", "Roger Allers", 1994, "sun", "lantern"],
  [862, "Toy Story", "John Lasseter", 1995, "clouds", "sky"],
  [10681, "WALL·E", "Andrew Stanton", 2008, "sprout", "sand"],
  [2062, "Ratatouille", "Brad Bird", 2007, "windows", "lantern"],
  [150540, "Inside Out", "Pete Docter", 2015, "marbles", "candy"],
  [354912, "Coco", "Lee Unkrich", 2017, "bridge", "lantern"],
  [324857, "Into the Spider-Verse", "Bob Persichetti", 2018, "web", "candy"],
  [77, "Memento", "Christopher Nolan", 2000, "frames", "ash"],
  [37165, "The Truman Show", "Peter Weir", 1998, "door", "sky"],
  [11324, "Shutter Island", "Martin Scorsese", 2010, "lighthouse", "steel"],
  [1422, "The Departed", "Martin Scorsese", 2006, "slashes", "ember"],
  [16869, "Inglourious Basterds", "Quentin Tarantino", 2009, "projector", "ember"],
  [7345, "There Will Be Blood", "Paul Thomas Anderson", 2007, "derrick", "ink"],
  [641, "Requiem for a Dream", "Darren Aronofsky", 2000, "eye", "twilight"],
  [185, "A Clockwork Orange", "Stanley Kubrick", 1971, "spiral", "mustard"],
  [510, "One Flew Over the Cuckoo's Nest", "Miloš Forman", 1975, "birds", "paper"],
];

export const films = list.map(([id, title, maker, year, motif, palette]) => ({ id, title, maker, year, motif, palette }));

const byID = new Map(films.map(film => [film.id, film]));

/** filmOf returns the film of an event, as far as one can tell. */
export function filmOf(event) {
  const known = byID.get(event.movie_id);
  if (known) return known;
  const title = event.event_details?.title;
  return { id: event.movie_id, title: typeof title === "string" && title ? title.slice(0, 120) : `Film ${event.movie_id}`, maker: "", year: 0 };
}
