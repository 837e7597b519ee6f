/* IMF-fixdate: the calendar computed by hand, so that neither locale nor time zone files matter. */
#include "http/date.h"

#define DAY_SECONDS 86400

struct civil {
    int64_t year;
    int month, day; /* 1.. */
};

/* Days since 1970-01-01 to a date of the proleptic Gregorian calendar; years begin in March, so that leap days come last. */
static struct civil civil_from_days(int64_t days)
{
    days += 719468; /* to 0000-03-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    struct civil c = {
        .year = year_of_era + era * 400,
        .month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9),
        .day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
    };
    c.year += c.month <= 2;
    return c;
}

static void put2(char *out, int64_t value)
{
    out[0] = (char)('0' + value / 10 % 10);
    out[1] = (char)('0' + value % 10);
}

void weir_http_date_format(int64_t unix_seconds, char out[WEIR_HTTP_DATE_LEN])
{
    static const char days[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t day = unix_seconds / DAY_SECONDS;
    int64_t second = unix_seconds % DAY_SECONDS;
    if (second < 0) {
        second += DAY_SECONDS;
        day--;
    }
    struct civil c = civil_from_days(day);
    memcpy(out, "ddd, DD mmm YYYY HH:MM:SS GMT", WEIR_HTTP_DATE_LEN);
    memcpy(out, days + (day % 7 + 7) % 7 * 3, 3);
    put2(out + 5, c.day);
    memcpy(out + 8, months + (c.month - 1) * 3, 3);
    put2(out + 12, c.year / 100);
    put2(out + 14, c.year);
    put2(out + 17, second / 3600);
    put2(out + 20, second / 60 % 60);
    put2(out + 23, second % 60);
}

struct weir_slice weir_http_date(int64_t wall_ns)
{
    static _Thread_local char text[WEIR_HTTP_DATE_LEN];
    static _Thread_local int64_t of_second = INT64_MIN;
    int64_t seconds = wall_ns / 1000000000;
    if (seconds != of_second) {
        weir_http_date_format(seconds, text);
        of_second = seconds;
    }
    return weir_slice(text, WEIR_HTTP_DATE_LEN);
}
